"""What networks are trained on: random transients, calcium of simulated waves, and the channel that is held at them."""
