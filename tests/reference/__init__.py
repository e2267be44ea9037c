"""A differential test: models built from a seed, run by calcium-sim and by an independent method of lines (see README.md)."""
