"""Published measurements beside the checkout; tests skip where they are absent."""

import os
from pathlib import Path

DATA = Path(os.environ.get("VLMSEL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
