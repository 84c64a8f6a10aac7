"""Plans: the cells left to measure, their order, their cost, and where they fit.

`preparation` and `known_cells` look at a store; the decisions of `work_plan`, `costs`, `forecast`,
`limits` and `placement` are pure. A plan knows no worker and no executor.
"""
