"""Text of the compiled numerics of a point: channels, their slopes, reactions and networks; checked, cached by its hash, and compiled."""
