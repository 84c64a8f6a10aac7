"""Columns and words that tables of different packages share."""

MODEL = ["model", "pretrained"]
CELL = [*MODEL, "task"]

# The source of accuracies that were measured here, where those of several sources meet.
MEASURED = "measured"

# ImageNet as tables name it, catalogs of a user's own first and published tables last.
IMAGENET_NAMES = ("imagenet", "imagenet1k")

# Text features in the words of LOVM's table; the first is ImageNet's accuracy.
FEATURE_NAMES = (
    "IN-score",
    "text-f1",
    "text-acc1",
    "intraclass_sim",
    "inter_close",
    "intra_close",
    "superclass_metric",
)
