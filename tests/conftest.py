"""Settings that must be in place before torch and Ray are imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MPLBACKEND", "Agg")
# Nothing here may reach a model hub: a test that tries must fail at once, not hang.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from hypothesis import settings

# A loaded machine is no failure: nothing here is judged by the clock.
settings.register_profile("vlmsel", deadline=None)
settings.load_profile("vlmsel")
