import pytest

from vlmsel.cli.views.count_progress import count_progress


def test_items_pass_and_every_tenth_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    items = [f"[m{i}]" for i in range(40)]
    assert list(count_progress(items, 40, str)) == items
    said = capsys.readouterr().err.split("\n")[:-1]
    assert said == [f"{n}/40 [m{n - 1}]" for n in range(4, 41, 4)]


def test_few_items_are_all_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(count_progress("ab", 2, str)) == ["a", "b"]
    assert capsys.readouterr().err == "1/2 a\n2/2 b\n"


def test_nothing_is_said_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(count_progress([], 0, str)) == []
    assert capsys.readouterr().err == ""
