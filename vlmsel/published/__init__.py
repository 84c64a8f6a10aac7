"""Other people's tables: readers, names and cleaning. Nothing of a table goes silently.

A reader takes a file and gives a long table in canonical names, with what was left out and why
(`clean_tables.Imported`). `layouts` recognises the layout of a table; `names` and ``names.yaml``
say what tasks and models are called elsewhere. `stored_tables` keeps them in a store.
"""

from vlmsel.published.class_accuracies import read_class_accuracies
from vlmsel.published.clean_tables import Imported
from vlmsel.published.clip_benchmark import read_clip_benchmark
from vlmsel.published.feature_table import read_features
from vlmsel.published.image_predictions import read_image_predictions
from vlmsel.published.layer_profiles import read_published_profiles
from vlmsel.published.layouts import Layout, read_accuracies, recognise
from vlmsel.published.long_table import read_long_table
from vlmsel.published.lovm import read_lovm_table
from vlmsel.published.mieb import read_mieb
from vlmsel.published.openclip import read_openclip_results

__all__ = [
    "Imported",
    "Layout",
    "read_accuracies",
    "read_class_accuracies",
    "read_clip_benchmark",
    "read_features",
    "read_image_predictions",
    "read_long_table",
    "read_lovm_table",
    "read_mieb",
    "read_openclip_results",
    "read_published_profiles",
    "recognise",
]
