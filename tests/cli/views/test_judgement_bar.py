"""Progress of a long leave-one-out, also where nobody looks at a terminal."""

import pytest

from vlmsel.cli.views.judgement_bar import judging_bar
from vlmsel.evaluation.judgement_progress import report_judged


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("seconds", "expected"), [(0.1, []), (4.0, ["4/8", "7/8"])])
def test_a_line_now_and_then(capsys: pytest.CaptureFixture[str], seconds, expected):
    clock = Clock()
    with judging_bar(clock):
        for number in range(8):
            clock.now += seconds
            report_judged(number + 1, 8)
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == expected


def test_outside_nothing_is_reported(capsys: pytest.CaptureFixture[str]):
    report_judged(1, 2)
    assert capsys.readouterr().err == ""
