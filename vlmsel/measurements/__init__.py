"""Kinds of measurement of a model on an image: columns, settings, checks and cost. No torch.

    measurement   the base class: what every kind declares
    profile       layer conductance of every block
    prediction    zero-shot answers over a task's classes
    embedding     the image embedding, or a block's output
    knockout      zero-shot answers with every layer silenced in turn
    text          the text embedding of prompts, captions and synonyms
    kinds         kind -> class; one line adds a kind of your own
    row_checks    the checks that rows of every kind pass before they are stored

A measurement knows no probe; `vlmsel.probes` says how each kind is computed.
"""

from vlmsel.measurements.embedding import Embedding
from vlmsel.measurements.kinds import (
    measurement_class,
    measurement_kinds,
    register_measurement,
)
from vlmsel.measurements.knockout import Knockout
from vlmsel.measurements.measurement import Measurement, Want
from vlmsel.measurements.prediction import Prediction
from vlmsel.measurements.profile import Profile
from vlmsel.measurements.text import Text

__all__ = [
    "Embedding",
    "Knockout",
    "Measurement",
    "Prediction",
    "Profile",
    "Text",
    "Want",
    "measurement_class",
    "measurement_kinds",
    "register_measurement",
]
