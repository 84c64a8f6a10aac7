import pytest

from vlmsel.errors import SettingsError
from vlmsel.settings import AttributionSettings, make_settings


def test_digest_changes_with_every_choice_that_can_change_a_value():
    base = AttributionSettings()
    others = [
        {"objective": "entropy"},
        {"n_steps": base.n_steps + 1},
        {"rule": "left"},
        {"baseline": "blur"},
        {"granularity": "stage"},
        {"precision": "bf16"},
        {"attribution": "gradient"},
    ]
    digests = {base.model_copy(update=other).digest for other in others} | {base.digest}
    assert len(digests) == len(others) + 1


def test_a_gradient_has_no_path():
    gradient = AttributionSettings(attribution="gradient")
    assert gradient.digest == gradient.model_copy(update={"n_steps": 99, "rule": "left"}).digest


def test_paper_preset_is_the_published_setting():
    paper = AttributionSettings.preset("paper")
    assert (paper.n_steps, paper.rule, paper.baseline) == (50, "captum", "zeros")


def test_settings_from_strings():
    assert make_settings({"n_steps": "32"}).n_steps == 32


def test_a_misspelt_key_names_the_nearest():
    with pytest.raises(SettingsError, match="did you mean n_steps"):
        make_settings({"n_step": "32"})


def test_a_value_out_of_bounds_names_key_and_value():
    with pytest.raises(SettingsError, match=r"n_steps='0'.*greater than"):
        make_settings({"n_steps": "0"})
