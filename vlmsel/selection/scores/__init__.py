"""Transferability scores: one pure function a file, arrays in, a float or named terms out.

```
features, labels -> support.label_groups (checked) -> support.decomposition (one per model)
                                                   -> logme, hscore, gbc, ... -> float or terms
probabilities of a head, labels ---------------------> leep, nce, zero_shot
```

Higher is better for every score, but where a term says otherwise. Scores of one task compare
models; they are never comparable between tasks. Rows are taken as given, in float64: who calls
normalises. `vlmsel.selection.transfer` says which of them mean anything for given sizes, what
their floors are, and lays out a zoo.
"""

from vlmsel.selection.scores.etran import combine_etran, etran
from vlmsel.selection.scores.gbc import gbc
from vlmsel.selection.scores.hscore import hscore, hscore_shrunk
from vlmsel.selection.scores.itm import ItmOptions, itm
from vlmsel.selection.scores.knn import knn
from vlmsel.selection.scores.lda import lda
from vlmsel.selection.scores.leep import leep
from vlmsel.selection.scores.lfc import lfc
from vlmsel.selection.scores.logme import logme, logme_floor
from vlmsel.selection.scores.nce import nce
from vlmsel.selection.scores.ncti import combine_ncti, ncti
from vlmsel.selection.scores.nearest_mean import nearest_mean
from vlmsel.selection.scores.nleep import nleep
from vlmsel.selection.scores.parc import parc
from vlmsel.selection.scores.ped import ped
from vlmsel.selection.scores.probe import probe, probe_answers
from vlmsel.selection.scores.ridge import ridge
from vlmsel.selection.scores.sfda import sfda
from vlmsel.selection.scores.support.decomposition import decompose
from vlmsel.selection.scores.tmi import tmi
from vlmsel.selection.scores.transrate import transrate
from vlmsel.selection.scores.zero_shot import zero_shot

__all__ = [
    "ItmOptions",
    "combine_etran",
    "combine_ncti",
    "decompose",
    "etran",
    "gbc",
    "hscore",
    "hscore_shrunk",
    "itm",
    "knn",
    "lda",
    "leep",
    "lfc",
    "logme",
    "logme_floor",
    "nce",
    "ncti",
    "nearest_mean",
    "nleep",
    "parc",
    "ped",
    "probe",
    "probe_answers",
    "ridge",
    "sfda",
    "tmi",
    "transrate",
    "zero_shot",
]
