"""What a run returns: one xarray.Dataset, saved, read back, and the numbers read off it."""
