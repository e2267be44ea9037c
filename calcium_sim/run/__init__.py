"""A run: the loop with its error control, what drives it, what it takes down, and what it tells."""
