r"""From profiles and known accuracies to a ranked zoo.

```
long profiles -> profiles.task_profiles -> dcd_table.dcd_matrix -> similarity -> weights --\
accuracies    -> knowledge.task_ranks ----------------------------------------------------> scores
                                                                                 -> ranking.Ranking
```

`problem` says what a selector may know, `selector` what it must offer, `selectors/` holds one a
file, `score_arrays` the arithmetic on arrays that all of them share, and `registry` finds them by
name.
"""

from vlmsel.selection.dcd_table import block_importance, dcd_matrix
from vlmsel.selection.knowledge import task_ranks
from vlmsel.selection.problem import Problem
from vlmsel.selection.profiles import task_profiles
from vlmsel.selection.ranking import Ranking, top_sources
from vlmsel.selection.registry import make_selector, register, selector_names
from vlmsel.selection.selector import Selector
from vlmsel.selection.similarity import effective_sources, similarity

__all__ = [
    "Problem",
    "Ranking",
    "Selector",
    "block_importance",
    "dcd_matrix",
    "effective_sources",
    "make_selector",
    "register",
    "selector_names",
    "similarity",
    "task_profiles",
    "task_ranks",
    "top_sources",
]
