"""Plans: which cells are left to measure, in which order, at what cost. Pure."""
