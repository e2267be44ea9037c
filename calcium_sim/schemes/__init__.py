"""How a model is advanced on its mesh: a folder per scheme, and what schemes share."""
