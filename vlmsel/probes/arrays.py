"""Arrays as Arrow columns, without a Python object per number."""

import numpy as np
import pyarrow as pa

# What float16 holds: a temperature of thousands is beyond it.
FLOAT16_MAX = float(np.finfo(np.float16).max)


def list_array(values: np.ndarray) -> pa.Array:
    """(N, D) as N lists of D numbers."""
    n_rows, width = values.shape
    offsets = pa.array(np.arange(n_rows + 1, dtype=np.int32) * width)
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(values).reshape(-1)))
