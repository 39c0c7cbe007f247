"""Training of the networks: samples, losses, loops, checkpoints, packing."""
