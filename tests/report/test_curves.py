import polars as pl
import pytest

from vlmsel.report.curves import profile_curves, study_curves

SCHEMA = ["model", "pretrained", "task", "image_id", "block", "conductance"]


def profiles(values, task="t"):
    rows = [
        ("m", "p", task, f"i{i}", b, v)
        for i, image in enumerate(values)
        for b, v in enumerate(image)
    ]
    return pl.DataFrame(rows, orient="row", schema=SCHEMA)


def line(figure, label):
    lines = figure.axes[0].lines
    return next(one for one in lines if str(one.get_label()).strip() == label)


def test_a_curve_is_the_mean_over_images_by_block():
    figure = profile_curves(profiles([[1.0, 2.0], [3.0, 4.0]]), model="m", pretrained="p")
    assert line(figure, "t").get_ydata() == pytest.approx([2.0, 3.0])


def test_the_band_is_the_standard_error():
    figure = profile_curves(profiles([[1.0, 1.0], [3.0, 1.0]]), model="m", pretrained="p")
    ys = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert ys.max() == pytest.approx(2.0 + 1.0)  # std sqrt(2) over sqrt(2) images
    assert ys.min() == pytest.approx(1.0)


def test_one_image_has_no_band():
    figure = profile_curves(profiles([[1.0, 2.0]]), model="m", pretrained="p")
    ys = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (ys.min(), ys.max()) == (1.0, 2.0)


def test_highlighted_tasks_are_named_and_others_counted():
    frame = pl.concat([profiles([[1.0, 2.0]], task) for task in "abc"])
    figure = profile_curves(frame, model="m", pretrained="p", highlight=("b",))
    labels = [t.get_text().strip() for t in figure.axes[0].get_legend().get_texts()]
    assert labels == ["b", "2 others"]


def test_failed_images_take_no_part():
    failed = pl.DataFrame([("m", "p", "t", "bad", None, None)], orient="row", schema=SCHEMA)
    frame = pl.concat([profiles([[1.0, 2.0]]), failed], how="vertical_relaxed")
    figure = profile_curves(frame, model="m", pretrained="p")
    assert line(figure, "t").get_ydata() == pytest.approx([1.0, 2.0])


@pytest.mark.parametrize(("head", "scale"), [(3.0, "linear"), (3000.0, "log")])
def test_a_head_far_above_the_others_makes_the_axis_logarithmic(head, scale):
    figure = profile_curves(profiles([[1.0, head]]), model="m", pretrained="p")
    assert figure.axes[0].get_yscale() == scale


def test_a_study_averages_rows_of_one_point():
    frame = pl.DataFrame({"steps": [4, 4, 8], "error": [0.2, 0.4, 0.1], "rule": ["left"] * 3})
    figure = study_curves(frame, x="steps", y="error", by="rule")
    assert line(figure, "left").get_ydata() == pytest.approx([0.3, 0.1])


def test_a_study_over_decades_is_logarithmic():
    frame = pl.DataFrame({"steps": [1, 64], "error": [0.5, 0.0005], "rule": ["left"] * 2})
    axes = study_curves(frame, x="steps", y="error", by="rule", threshold=0.01).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
