"""Kinds by name, and what each says of itself: digest, prompts, cost, needs."""

from collections.abc import Iterator
from typing import ClassVar
from unittest.mock import patch

import pyarrow as pa
import pytest
from pydantic import ValidationError

from vlmsel.errors import SettingsError
from vlmsel.measurements import (
    Embedding,
    Measurement,
    Prediction,
    Profile,
    Want,
    kinds,
    measurement_class,
    measurement_kinds,
    register_measurement,
)
from vlmsel.settings import AttributionSettings
from vlmsel.zoo.capabilities import Capability


class Norm(Measurement):
    """The length of the embedding."""

    kind: ClassVar[str] = "norm"
    values: ClassVar[pa.Schema] = pa.schema([pa.field("norm", pa.float64())])

    order: int = 2


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Remove after a test what it registers."""
    with patch.dict(kinds._CLASSES):
        yield


def test_kinds_have_an_order_and_a_class() -> None:
    assert measurement_kinds()[:3] == ("profile", "prediction", "embedding")
    for kind in measurement_kinds():
        assert measurement_class(kind).kind == kind


def test_a_kind_of_ones_own_is_one_line() -> None:
    assert register_measurement(Norm) is Norm
    register_measurement(Norm)
    assert measurement_class("norm") is Norm
    assert measurement_kinds()[-1] == "norm"


def test_two_classes_of_one_kind_are_refused() -> None:
    class Other(Norm):
        kind: ClassVar[str] = "profile"

    with pytest.raises(SettingsError, match="kind 'profile' is Profile already"):
        register_measurement(Other)
    assert measurement_class("profile") is Profile


def test_a_misspelt_kind_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"no measurement 'pofile'; did you mean profile"):
        measurement_class("pofile")
    with pytest.raises(SettingsError, match=r"there are: profile, prediction, embedding"):
        measurement_class("zzz")


@pytest.mark.parametrize("kind", ["profile", "prediction", "embedding", "knockout"])
def test_every_kind_has_defaults_and_rows_of_its_own(kind: str) -> None:
    measurement = measurement_class(kind)()
    schema = measurement.row_schema()
    assert schema.names[:5] == ["model", "pretrained", "task", "image_id", "image_sha256"]
    assert schema.names[-1] == "reason"
    assert set(measurement.row_key) | measurement.optional <= set(measurement.values.names)
    assert type(measurement).model_validate_json(measurement.model_dump_json()) == measurement
    assert measurement.forward_passes >= 1
    assert Capability.image_embedding in measurement.requires
    with pytest.raises(ValidationError):
        type(measurement)(no_such_setting=1)
    name, value = next(iter(measurement))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(measurement, name, value)


def test_the_digest_follows_kind_and_every_setting() -> None:
    found = [
        *(Prediction(), Prediction(logits=1), Prediction(logits=5)),
        *(Embedding(), Embedding(layer="visual.ln_post"), Norm(), Norm(order=1)),
        *(Profile(), Profile(settings=AttributionSettings(n_steps=3))),
    ]
    assert len({kind.digest for kind in found}) == len(found)
    assert all(len(kind.digest) == 16 for kind in found)
    assert Prediction().digest == Prediction(logits="full").digest
    assert Profile().digest == AttributionSettings().digest


@pytest.mark.parametrize("logits", [0, -1, "all", None, 2.5])
def test_impossible_logits_are_refused(logits: object) -> None:
    with pytest.raises(ValidationError):
        Prediction(logits=logits)


def test_an_embedding_is_of_a_layer() -> None:
    with pytest.raises(ValidationError):
        Embedding(layer="")
    assert Capability.blocks not in Embedding().requires
    assert Capability.blocks in Embedding(layer="visual.ln_post").requires


def test_what_reads_class_prompts() -> None:
    assert Prediction().reads_prompts
    assert not Embedding().reads_prompts
    assert not Profile().reads_prompts
    assert Profile(settings=AttributionSettings(objective="alignment")).reads_prompts


def test_what_an_image_costs() -> None:
    assert Prediction().forward_passes == Embedding().forward_passes == 1
    steps = [Profile(settings=AttributionSettings(n_steps=n)).forward_passes for n in (4, 9)]
    assert steps == [15, 30]
    gradient = AttributionSettings(attribution="gradient", n_steps=50)
    assert Profile(settings=gradient).forward_passes == 3


@pytest.mark.parametrize(("logits", "n_top"), [("full", 5), (1, 5), (5, 5), (12, 12)])
def test_at_least_five_classes_are_named(logits: object, n_top: int) -> None:
    assert Prediction(logits=logits).n_top == n_top


def test_a_want_is_of_the_kind_of_its_measurement() -> None:
    assert Want(Embedding()).kind == "embedding"
    assert Want(Embedding()).n_images is None
    assert Want(Embedding(), 3) == Want(Embedding(), 3) != Want(Embedding(), 4)
