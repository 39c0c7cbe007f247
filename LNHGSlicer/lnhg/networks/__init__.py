"""The networks with their grids and weights, and what they are computed with; the only room of a run that knows
torch.
"""
