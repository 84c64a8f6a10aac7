"""Options that contradict each other."""

import pytest

from vlmsel.api.answer_options import AnswerOptions
from vlmsel.errors import SettingsError


def test_labels_that_are_to_be_ignored_are_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match="ignore_labels takes no labels: leave labels and"):
        AnswerOptions(ignore_labels=True, labels=tmp_path / "labels.csv")
    with pytest.raises(SettingsError, match="ignore_labels takes no labels: leave labels and"):
        AnswerOptions(ignore_labels=True, labels_are_random=True)


def test_limits_are_by_the_names_of_their_options() -> None:
    assert AnswerOptions().limits == {"max_params": None, "max_ms": None}
    assert AnswerOptions(max_ms=2.5).limits == {"max_params": None, "max_ms": 2.5}
