"""Training of learned channels."""
