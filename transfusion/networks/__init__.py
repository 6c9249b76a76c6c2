"""The networks, their stages, and the weights that they start from."""
