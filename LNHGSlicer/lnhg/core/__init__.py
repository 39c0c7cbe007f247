"""The values that travel (CT, candidate, nodule, result), and what follows from a grid, a box or a file alone."""
