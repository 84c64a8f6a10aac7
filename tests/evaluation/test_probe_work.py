import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vlmsel.errors import SelectionError
from vlmsel.evaluation.probe_cache import ProbeCache, probe_key
from vlmsel.evaluation.probe_work import (
    ProbeOptions,
    ProbeResult,
    accuracy_of,
    from_text,
    probe_unit,
    to_text,
)
from vlmsel.evaluation.shots import LabelledImages, draw_shots, find_undrawn

RNG = np.random.default_rng(0)
CODES = np.arange(48) % 4
IMAGES = LabelledImages("birds", tuple(f"{i:02}.png" for i in range(48)), CODES, np.arange(48))
VECTORS = RNG.normal(size=(48, 10)) + 1.5 * RNG.normal(size=(4, 10))[CODES]
OPTIONS = ProbeOptions(shots=(4,), draws=2)


def test_a_few_shot_probe_is_that_of_scikit_learn_on_the_other_images():
    found = probe_unit(VECTORS, None, IMAGES, 4, OPTIONS)
    drawn = draw_shots(IMAGES, 4, 1)
    others = find_undrawn(IMAGES, drawn)
    rows = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    mean, scale = rows[drawn].mean(axis=0), rows[drawn].std(axis=0)
    model = LogisticRegression(max_iter=5000, tol=1e-8).fit(
        (rows[drawn] - mean) / scale, CODES[drawn]
    )
    expected = model.score((rows[others] - mean) / scale, CODES[others])
    assert found.draws[1].accuracy == pytest.approx(expected, abs=1e-9)
    assert found.draws[1].n_images == 32
    assert len(found.draws[1].hits) == 16


def test_probes_of_all_images_hold_every_image_out_once():
    found = probe_unit(VECTORS, None, IMAGES, None, OPTIONS)
    hits = from_text(found.hits)
    assert np.isfinite(hits).all()
    assert accuracy_of(hits) > 0.6
    assert found.dimensions == 10
    noise = probe_unit(RNG.normal(size=(48, 10)), None, IMAGES, None, OPTIONS)
    assert accuracy_of(from_text(noise.hits)) < 0.5


def test_the_plain_h_score_is_refused_where_images_are_no_more_than_dimensions():
    wide = np.concatenate([VECTORS, RNG.normal(size=(48, 30))], axis=1)
    cells = probe_unit(wide, None, IMAGES, 4, OPTIONS).draws[0].cells
    value, _, _, reason = cells["hscore"]
    assert value is None
    assert reason is not None
    assert "noise included" in reason
    assert cells["logme"][0] is not None


def test_one_image_a_class_holds_nothing_out():
    found = probe_unit(VECTORS, None, IMAGES, 1, OPTIONS)
    assert found.draws[0].hits == ""
    assert "2 images" in str(found.draws[0].cells["logme"][3])


def test_an_image_without_embedding_is_a_hole_and_many_are_a_reason():
    vectors = VECTORS.copy()
    vectors[3] = np.nan
    hits = from_text(probe_unit(vectors, None, IMAGES, None, OPTIONS).hits)
    assert np.flatnonzero(np.isnan(hits)).tolist() == [3]
    vectors[:20] = np.nan
    assert "28 of 48" in str(probe_unit(vectors, None, IMAGES, None, OPTIONS).reason)


def test_zero_shot_answers_of_the_drawn_images_stand_beside():
    head = np.eye(4)[CODES] * 0.9 + 0.025
    found = probe_unit(VECTORS, head, IMAGES, 4, OPTIONS)
    assert found.draws[0].zero_shot_hits == "1" * 16
    assert found.draws[0].cells["zero-shot"][0] == 1.0


def test_too_many_shots_are_a_reason():
    assert "12 shots leave none" in str(probe_unit(VECTORS, None, IMAGES, 12, OPTIONS).reason)


def test_results_come_back_from_json_as_they_were():
    for shots in (None, 4):
        found = probe_unit(VECTORS, None, IMAGES, shots, OPTIONS)
        assert ProbeResult.from_json(json.loads(json.dumps(found.as_json()))) == found
    hits = np.array([1.0, 0.0, np.nan])
    assert np.array_equal(from_text(to_text(hits)), hits, equal_nan=True)


def test_scores_of_a_whole_zoo_are_refused():
    with pytest.raises(SelectionError, match="score ncti is one of a whole zoo"):
        ProbeOptions(estimators=("ncti",))


def test_the_cache_gives_back_what_it_was_given_and_nothing_else(tmp_path):
    cache = ProbeCache(tmp_path)
    key = probe_key(("RN50", "openai"), IMAGES, ["a.parquet"], 4, OPTIONS)
    assert cache.read(key) is None
    found = probe_unit(VECTORS, None, IMAGES, 4, OPTIONS)
    cache.write(key, found)
    assert ProbeCache(tmp_path).read(key) == found
    (path,) = tmp_path.rglob("*.json")
    path.write_text("{broken")
    assert cache.read(key) is None


def test_cells_labels_options_and_shots_name_another_result():
    def key(images=IMAGES, files=("a",), shots=4, options=OPTIONS):
        return probe_key(("RN50", "openai"), images, files, shots, options).digest

    mended = LabelledImages("birds", IMAGES.image_ids, (CODES + 1) % 4, IMAGES.copies)
    digests = {
        key(),
        key(files=("b",)),
        key(images=mended),
        key(shots=8),
        key(shots=None),
        key(options=ProbeOptions(draws=3)),
        key(options=ProbeOptions(draws=2, seed=1)),
    }
    assert len(digests) == 7
    assert key(shots=None) == key(shots=None, options=ProbeOptions(draws=9)), "draws no part of all"
