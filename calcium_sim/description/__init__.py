"""What all descriptions share: fixed parts, names, and what is told when they are given something else."""
