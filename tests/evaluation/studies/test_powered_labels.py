import numpy as np
import polars as pl
import pytest

from vlmsel.errors import SelectionError
from vlmsel.evaluation.studies.powered_labels import lay_out_predictions, saving_of_predictions
from vlmsel.report.study_figures import saving_figure
from vlmsel.selection.estimators.answers import FAILED, OUTSIDE


def predictions(n_images: int = 300, n_models: int = 6, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n_images)
    hard = rng.random(n_images) < 0.4
    rows = []
    for m in range(n_models):
        right = rng.random(n_images) < np.where(hard, 0.2 + 0.05 * m, 0.95)
        answer = np.where(right, truth, (truth + rng.integers(1, 4, n_images)) % 4)
        rows += [
            (f"m{m}", "x", f"{i:04}", f"class{a}", f"class{t}")
            for i, (a, t) in enumerate(zip(answer, truth, strict=True))
        ]
    names = ["model", "pretrained", "image_id", "prediction", "label"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_predictions_become_arrays():
    frame = predictions(4, 3).with_columns(
        prediction=pl.when(pl.col("image_id") != "0001").then("prediction")
    )
    table = frame.filter(~((pl.col("model") == "m2") & (pl.col("image_id") == "0000")))
    laid = lay_out_predictions(table, "zoo")
    assert laid.answers[2, 0] == FAILED
    assert (laid.answers[:, 1] == OUTSIDE).all()
    assert np.isnan(laid.hits[0, 2])
    assert (laid.hits[1] == 0).all()


def test_predictions_save_labels_and_say_how_many():
    answered = lay_out_predictions(predictions(), "zoo")
    found = saving_of_predictions(answered, labels=(15, 40), n_draws=60)
    assert found["n_labels"].to_list() == [15, 40]
    assert (found["realised"] < 0.95).all()
    assert (found["stated"] > found["stated_raw"]).all()
    np.testing.assert_allclose(found["stated"], found["realised"], atol=0.12)
    assert (found["bias"] < 0.05).all()


def test_too_many_labels():
    answered = lay_out_predictions(predictions(20), "zoo")
    with pytest.raises(SelectionError, match="20 images: labels must be 3 to 19"):
        saving_of_predictions(answered, labels=(20,))


def test_too_few_models():
    with pytest.raises(SelectionError, match="2 models and 4 classes"):
        lay_out_predictions(predictions(40, 2), "zoo")


def test_the_figure_has_a_line_a_zoo():
    answered = lay_out_predictions(predictions(60), "zoo")
    figure = saving_figure(saving_of_predictions(answered, labels=(5, 10), n_draws=3))
    assert len(figure.axes[0].get_lines()) == 3
