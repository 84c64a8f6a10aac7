"""Ray executor: the only modules, with `jobs`, that import Ray."""
