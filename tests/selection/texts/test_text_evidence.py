"""Evidence of texts: the target is hidden, digests follow contents, holes are NaN."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.texts.text_evidence import FEATURE_COLUMNS, TextEvidence, make_features
from vlmsel.selection.texts.text_features import FEATURES, text_features

MODELS = [("a", "p"), ("b", "p")]


@pytest.fixture
def evidence(make_texts) -> TextEvidence:
    return make_texts(MODELS, ["t0", "t1"])


def test_what_labels_of_the_target_add_is_hidden(evidence, problem):
    assert evidence.has_label_traces("t0")
    hidden = evidence.hide_labels("t0")
    assert not hidden.has_label_traces("t0")
    assert hidden.has_label_traces("t1")
    assert evidence.has_label_traces("t0")
    with pytest.raises(SelectionError, match="the texts hold what labelled images of the target"):
        dataclasses.replace(problem, texts=evidence)


def test_features_are_those_of_the_views(evidence):
    table = make_features(evidence.views)
    assert table.columns == list(FEATURE_COLUMNS)
    found = evidence.feature_array(MODELS, ["t1", "nowhere"])
    assert found.shape == (2, 2, len(FEATURES))
    assert np.isnan(found[:, 1]).all()
    assert np.isnan(found[:, 0, 0]).all()
    same = text_features(evidence.views["t1"]["a", "p"])
    np.testing.assert_allclose(found[0, 0, 3:], same[2:])


def test_imported_features_win(evidence):
    row = ("a", "p", "t0", *np.arange(7.0))
    table = pl.DataFrame([row], schema=FEATURE_COLUMNS, orient="row")
    given = dataclasses.replace(evidence, features=table)
    np.testing.assert_array_equal(given.feature_array(MODELS[:1], ["t0"])[0, 0], np.arange(7.0))
    assert given.digest != evidence.digest


def test_the_digest_follows_what_is_seen(evidence, make_texts):
    assert evidence.digest == make_texts(MODELS, ["t0", "t1"]).digest
    other = make_texts(MODELS, ["t0", "t1"])
    other.views["t1"]["a", "p"].gaps[0, 0] += 1e-9
    assert other.digest != evidence.digest
    assert TextEvidence().digest
