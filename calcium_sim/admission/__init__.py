"""Examines files that a stranger may have written, before torch sees any of them. The standard library only."""
