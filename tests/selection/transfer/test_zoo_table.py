"""Tables of zoos: noise stays below, nothing stands alone, what is left out is said."""

import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.selection.transfer import (
    ESTIMATORS,
    ScoreOptions,
    estimator_names,
    score_zoo,
)

FROM_FEATURES = [name for name, score in ESTIMATORS.items() if score.needs == "features"]


@pytest.mark.parametrize(
    ("per_class", "normalise"),
    [(2, True), (5, True), (20, True), (50, True), (2, False), (20, False)],
)
def test_noise_never_ranks_above_pixels(digits_of, per_class, normalise):
    x, y = digits_of(per_class)
    # A mixture in the hundreds of components that noise has takes 17 s: at one size alone.
    names = [name for name in FROM_FEATURES if name != "nleep" or (per_class == 20 and normalise)]
    noise = {("noise", ""): np.random.default_rng(0).normal(size=(len(y), 512))}
    found = score_zoo(
        {("pixels", ""): x, **noise},
        y,
        estimators=names,
        options=ScoreOptions(normalise=normalise),
    )
    ranking = {}
    for name in names:
        rows = found.ranking(name)
        if len(rows):
            ranking[name] = rows["model"].to_list()
    assert {name for name, models in ranking.items() if models[0] != "pixels"} == set()
    # And the gates leave the sound ones in.
    assert {"logme", "parc", "knn", "ridge", "probe", "gbc"} <= ranking.keys()
    if per_class == 50:
        assert {"hscore-shrunk", "itm", "ncti", "lda"} <= ranking.keys()
    if per_class == 2:
        assert ranking.keys().isdisjoint({"hscore", "hscore-shrunk", "sfda", "ped", "ncti", "itm"})


def test_nothing_stands_alone(clouds):
    zoo, labels = clouds()
    table = score_zoo(zoo, labels).table
    assert set(table["estimator"]) == {"logme", "probe"}
    for name in ("value", "floor", "place", "probe_accuracy"):
        assert table[name].null_count() == 0
    assert (table["n_ranked"] == 3).all()
    assert (table["value"] > table["floor"]).all()
    logme = table.filter(estimator="logme")
    assert logme["model"][logme["place"].arg_min()] == "m2"


def test_every_refusal_has_a_reason(clouds):
    zoo, labels = clouds()
    table = score_zoo(zoo, labels, estimators=estimator_names()).table
    assert len(table) == 3 * len(ESTIMATORS)
    assert (table["place"].is_null() == table["reason"].is_not_null()).all()
    heads = table.filter(pl.col("estimator").is_in(["leep", "nce", "zero-shot"]))
    assert heads["reason"].str.contains("needs (head|zero-shot) probabilities").all()


def test_zero_shot_stands_beside(clouds):
    zoo, labels = clouds()
    names = np.array(["ant", "bat", "cat", "dog"])
    heads = {key: np.eye(5)[labels] * 0.6 + 0.08 for key in zoo}
    found = score_zoo(
        zoo,
        names[labels],
        classes=["ant", "bat", "cat", "dog", "emu"],
        estimators=["zero-shot", "leep", "nce"],
        heads=heads,
        zero_shot=heads,
    )
    assert (found.table["zero_shot_accuracy"] == 1).all()
    assert any("1 classes have no image and are not scored: emu" in note for note in found.notes)
    # Equal for all models: no ranking.
    assert found.table["place"].null_count() == len(found.table)
    assert found.table["reason"].str.contains("have one value").all()


def test_ties_at_the_top_are_no_ranking(clouds):
    zoo, labels = clouds(models=1)
    far = {(f"far-{i}", ""): np.eye(4)[labels] * 50 + zoo["m0", "p"][:, :4] for i in range(3)}
    far = {key: rows + i for i, (key, rows) in enumerate(far.items())}
    found = score_zoo({**zoo, **far}, labels, estimators=["knn", "nearest-mean"])
    assert found.ranking("nearest-mean").is_empty()
    reasons = found.table.filter(estimator="nearest-mean")["reason"]
    assert reasons.str.contains("3 of 4 models tie at the top").all()


def test_equal_accuracies_go_by_likelihood(clouds):
    zoo, labels = clouds()
    corners = np.eye(4)[labels]
    noise = zoo["m0", "p"][:, :4]
    sure = {("near", ""): corners * 8 + noise, ("far", ""): corners * 20 + noise}
    found = score_zoo(sure, labels, estimators=["probe"], options=ScoreOptions(normalise=False))
    assert (found.table["value"] == 1).all()
    assert found.ranking("probe")["model"].to_list() == ["far", "near"]


def test_scores_that_grow_with_the_dimension_rank_one_dimension(clouds):
    zoo, labels = clouds()
    assert len(score_zoo(zoo, labels, estimators=["transrate"]).ranking("transrate")) == 3
    wide = {**zoo, ("wide", ""): np.hstack([zoo["m0", "p"], zoo["m1", "p"]])}
    found = score_zoo(wide, labels, estimators=["transrate"])
    assert found.ranking("transrate").is_empty()
    assert found.table["reason"].str.contains("one dimension only; these have 6, 12").all()


def test_a_model_that_cannot_be_scored_is_named_and_the_others_are(clouds):
    zoo, labels = clouds()
    broken = {
        ("nan", ""): np.where(np.arange(288).reshape(48, 6) == 7, np.nan, zoo["m0", "p"]),
        ("flat", ""): np.full((48, 6), 0.1),
        ("short", ""): zoo["m0", "p"][:40],
    }
    found = score_zoo({**zoo, **broken}, labels, estimators=["logme"])
    assert found.left_out["model"].to_list() == ["nan", "flat", "short"]
    reasons = found.left_out["reason"].to_list()
    for reason, says in zip(
        reasons, ("1 of 48 rows", "same features", "40 rows of features for 48"), strict=True
    ):
        assert says in reason
    assert len(found.ranking("logme")) == 3
    with pytest.raises(SelectionError, match="no model can be scored: 1 of 48 rows"):
        score_zoo({("nan", ""): broken["nan", ""]}, labels)


def test_one_image_a_class_leaves_what_needs_one(clouds):
    zoo, _ = clouds(per_class=1, classes=8)
    found = score_zoo(zoo, np.arange(8), estimators=["logme", "etran", "knn"])
    assert len(found.ranking("etran")) == 3
    assert found.table["probe_accuracy"].null_count() == 9
    refused = found.table.filter(pl.col("estimator") != "etran")["reason"]
    assert refused.str.contains("needs 2 images of every class, the smallest class has 1").all()
    assert any("8 classes have one image" in note for note in found.notes)


def test_copies_do_not_help(digits_of):
    x, y = digits_of(4)
    noise = np.random.default_rng(0).normal(size=(40, 300))
    zoo = {("noise", ""): np.vstack([noise, noise]), ("pixels", ""): np.vstack([x, x])}
    labels, images = np.tile(y, 2), np.tile(np.arange(40), 2).astype(str)
    flattered = score_zoo(zoo, labels, estimators=["knn", "probe"]).table
    told = score_zoo(zoo, labels, images=images, estimators=["knn", "probe"])
    assert (flattered.filter(model="noise")["value"] > 0.8).all()
    assert (told.table.filter(model="noise")["value"] < 0.5).all()
    assert any("40 images are copies of others" in note for note in told.notes)


def test_ten_thousand_classes(clouds):
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10_000), 2)
    means = random.normal(size=(10_000, 8))
    zoo = {(f"m{i}", ""): means[labels] * i + random.normal(size=(20_000, 8)) / 8 for i in (1, 2)}
    found = score_zoo(zoo, labels, estimators=["logme", "nearest-mean", "probe", "itm"])
    assert found.ranking("logme")["model"].to_list() == ["m2", "m1"]
    assert found.ranking("nearest-mean")["model"].to_list() == ["m2", "m1"]
    for name in ("probe", "itm"):
        reasons = found.table.filter(estimator=name)["reason"]
        assert reasons.str.contains("hours").all()


def test_loading_late_in_threads_is_the_same(clouds):
    zoo, labels = clouds()
    late = {key: (lambda rows=rows: rows) for key, rows in zoo.items()}
    table = score_zoo(zoo, labels, estimators=["logme", "knn", "gbc"]).table
    two = score_zoo(
        late, labels, estimators=["logme", "knn", "gbc"], options=ScoreOptions(threads=2)
    ).table
    assert table.equals(two)


def test_what_is_no_question_is_refused(clouds):
    zoo, labels = clouds()
    with pytest.raises(SelectionError, match="no score 'logmee'; did you mean logme"):
        score_zoo(zoo, labels, estimators=["logmee"])
    with pytest.raises(SelectionError, match="0 models"):
        score_zoo({}, labels)
    with pytest.raises(SelectionError, match="targets of a regression"):
        score_zoo(zoo, labels + 0.5)
    with pytest.raises(SelectionError, match="several labels per image"):
        score_zoo(zoo, np.eye(4)[labels])
