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
        {"objective": "score-mean"},
        {"objective": "score-class"},
        {"objective": "score-class", "tower": "text"},
        {"objective": "score-class", "tower": "both"},
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


# Of profiles in stores: another digest would measure them again.
DIGESTS = {
    "60dfcd8d32ebef9e": {},
    "6c8feb81618ce2fe": {"objective": "entropy"},
    "5cf20de42535df34": {"objective": "variance"},
    "f653b703e5df1828": {"objective": "alignment"},
    "c45d980cc48c9fd2": {"attribution": "gradient"},
    "f441e8edb0d52b2a": {"attribution": "gradient_x_activation", "objective": "variance"},
    "38920228452b5817": {"granularity": "stage"},
    "830b9dcf706c96ca": {"precision": "bf16"},
    "46c5d60257d6f27a": {"baseline": "blur", "rule": "left", "path": "graded", "n_steps": 33},
    "9d4b95fc54f38c08": AttributionSettings.preset("paper").model_dump(),
}


@pytest.mark.parametrize(("digest", "fields"), DIGESTS.items(), ids=DIGESTS)
def test_settings_of_stored_profiles_keep_their_digest(digest, fields):
    assert AttributionSettings.model_validate(fields).digest == digest


def test_the_digest_of_the_first_schema_is_kept_too():
    assert AttributionSettings().digest_under(1) == "e971f585b4d318ee"


@pytest.mark.parametrize("tower", ["text", "both"])
def test_a_tower_of_text_needs_a_score_of_image_and_text(tower):
    with pytest.raises(SettingsError, match=f"tower {tower} needs .*score-mean or score-class"):
        make_settings({"tower": tower})
