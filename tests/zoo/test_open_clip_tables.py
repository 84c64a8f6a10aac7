from contextlib import suppress

import open_clip
import pytest

from vlmsel.errors import ModelError
from vlmsel.zoo.open_clip_tables import architecture_config, architectures, is_tag, tag_config


def test_all_architectures_of_open_clip_are_known() -> None:
    assert len(architectures()) >= 144
    assert architecture_config("RN50")["vision_cfg"]["layers"] == [3, 4, 6, 3]


def test_a_configuration_is_a_copy() -> None:
    architecture_config("RN50")["vision_cfg"]["layers"] = "changed"
    assert architecture_config("RN50")["vision_cfg"]["layers"] == [3, 4, 6, 3]


@pytest.mark.parametrize(
    ("model", "pretrained", "reason"),
    [
        ("ViT-B-32", "openai", "trained with QuickGELU.*use model 'ViT-B-32-quickgelu'"),
        ("ViT-B-16", "dfn2b", "trained with QuickGELU.*use model 'ViT-B-16-quickgelu'"),
        ("RN50", "openai", "trained with QuickGELU.*use model 'RN50-quickgelu'"),
        ("ViT-B-32-quickgelu", "laion2b_e16", "trained with GELU.*use model 'ViT-B-32'"),
        ("ViT-H-14-378-quickgelu", "dfn5", "no pretrained tag 'dfn5'; did you mean dfn5b"),
        ("ViT-B-32", "laion2b_e61", "no pretrained tag.*did you mean laion2b_e16"),
        ("ViT-B-23", "openai", "unknown architecture 'ViT-B-23'; did you mean ViT-B-32"),
        ("RN50", "zzz", "no pretrained tag 'zzz'; its tags: openai, yfcc15m, cc12m"),
        ("ViT-e-14", "openai", "no pretrained weights for 'ViT-e-14'"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_right_name(
    model: str, pretrained: str, reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        tag_config(model, pretrained)


def test_every_tag_is_usable_under_exactly_one_activation() -> None:
    usable: dict[tuple[str, str], list[str]] = {}
    for model, tag in open_clip.list_pretrained():
        names = usable.setdefault((model.removesuffix("-quickgelu"), tag), [])
        with suppress(ModelError):
            tag_config(model, tag)
            names.append(model)
    assert len(usable) > 100
    assert {key: names for key, names in usable.items() if len(names) != 1} == {}


def test_roberta_is_quickgelu_by_its_own_configuration() -> None:
    # Its tag says nothing of the activation, and there is no other architecture to name.
    assert architecture_config("roberta-ViT-B-32")["quick_gelu"]
    assert tag_config("roberta-ViT-B-32", "laion2b_s12b_b32k")["hf_hub"]


def test_tags_are_spelt_as_open_clip_allows() -> None:
    assert tag_config("ViT-B-32", "LAION2B-E16") == tag_config("ViT-B-32", "laion2b_e16")
    assert is_tag("ViT-B-32", "openai")
    assert not is_tag("ViT-B-32", "my-own")
