"""Quality of rankings: metrics, leave-one-out, sweeps, uncertainty, studies and the verdict."""
