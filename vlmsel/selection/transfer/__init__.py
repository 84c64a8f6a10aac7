"""Transferability of a zoo: which scores mean anything for a task, and what they say.

```
features of each model, labels -> labelled_task (what is left out, said) -> model_inputs
model_inputs -> score_catalog (value, gate, floor of each) -> zoo_table (places, beside the probe)
```

`score_catalog` names every score, `gates` says for which sizes one means nothing and why, and
`score_zoo` lays out a table in which no value stands alone: its floor, its place in the zoo and
the accuracy of a linear probe are beside it.
"""

from vlmsel.selection.transfer.gates import Sizes
from vlmsel.selection.transfer.score_catalog import ESTIMATORS, Estimator, estimator_names
from vlmsel.selection.transfer.zoo_table import (
    DEFAULT_ESTIMATORS,
    ScoreOptions,
    ZooScores,
    score_zoo,
)

__all__ = [
    "DEFAULT_ESTIMATORS",
    "ESTIMATORS",
    "Estimator",
    "ScoreOptions",
    "Sizes",
    "ZooScores",
    "estimator_names",
    "score_zoo",
]
