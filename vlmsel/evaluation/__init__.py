"""Is the ranking right? Metrics, leave-one-out, sweeps, uncertainty, studies and the verdict."""
