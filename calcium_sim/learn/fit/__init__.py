"""What all fits share: networks, the training loop, the roll-out, the result with its card and its pictures."""
