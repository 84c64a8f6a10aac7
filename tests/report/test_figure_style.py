import io
import xml.etree.ElementTree as ET
from itertools import islice

import matplotlib as mpl
from matplotlib.figure import Figure

from vlmsel.report.figure_style import INK, RULE, canvas, line_styles, to_png, to_svg


def drawn(label="a"):
    with canvas() as (figure, axes):
        axes.plot([0, 1], [0, 1], label=label)
        axes.legend()
    return figure


def test_a_png_is_drawn_once(monkeypatch):
    figure, drawings = drawn(), []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda *args: drawings.append(draw(*args)))
    assert to_png(figure).startswith(b"\x89PNG")
    assert len(drawings) == 1


def test_a_png_is_what_savefig_saves():
    expected, figure = io.BytesIO(), drawn()
    # Within the house style.
    with canvas():
        figure.savefig(expected, format="png", dpi=90, facecolor="white")
    assert to_png(drawn(), dpi=90) == expected.getvalue()


def test_a_png_leaves_its_figure_as_it_was():
    plain, shown = drawn(), drawn()
    to_png(shown)
    written = [io.StringIO(), io.StringIO()]
    for figure, file in zip((plain, shown), written, strict=True):
        with canvas():
            figure.savefig(file, format="svg", metadata={"Date": None})
    assert plain.dpi == shown.dpi
    assert written[0].getvalue() == written[1].getvalue()


def test_svg_is_one_element_without_fixed_size():
    root = ET.fromstring(to_svg(drawn(), alt="a line", prefix="p"))
    assert root.tag.endswith("svg")
    assert "width" not in root.attrib
    assert "height" not in root.attrib
    assert root.attrib["viewBox"].startswith("0 0 ")


def test_svg_names_what_it_shows():
    root = ET.fromstring(to_svg(drawn(), alt='a "line" & <more>', prefix="p"))
    assert root.attrib["aria-label"] == 'a "line" & <more>'
    assert root.attrib["role"] == "img"


def test_svg_ids_of_two_figures_differ():
    ids = [
        {
            e.attrib["id"]
            for e in ET.fromstring(to_svg(drawn(), alt="", prefix=p)).iter()
            if "id" in e.attrib
        }
        for p in ("one", "two")
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_svg_takes_the_colours_of_the_page():
    svg = to_svg(drawn(), alt="", prefix="p")
    assert INK not in svg
    assert RULE not in svg
    assert "currentColor" in svg


def test_a_hostile_label_stays_text():
    svg = to_svg(drawn("<script>alert(1)</script> $x^2$"), alt="</svg><script>", prefix="p")
    texts = [t for t in ET.fromstring(svg).itertext() if "alert" in t]
    assert "<script>" not in svg
    assert texts == ["<script>alert(1)</script> $x^2$"]


def test_equal_figures_give_equal_bytes():
    assert to_svg(drawn(), alt="", prefix="p") == to_svg(drawn(), alt="", prefix="p")


def test_png_is_a_png():
    assert to_png(drawn()).startswith(b"\x89PNG\r\n")


def test_the_global_style_is_left_alone():
    before = dict(mpl.rcParams)
    to_svg(drawn(), alt="", prefix="p")
    assert dict(mpl.rcParams) == before


def test_twenty_four_lines_can_be_told_apart():
    assert len(set(islice(line_styles(), 24))) == 24
