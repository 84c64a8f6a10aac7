import subprocess
import sys

import pytest

from vlmsel.errors import TaskError
from vlmsel.tasks.prompts import class_prompts, has_classnames
from vlmsel.tasks.task_catalog import TaskSpec


def spec(**more: object) -> TaskSpec:
    return TaskSpec(name="t", images="/x", **more)


def test_own_class_names_and_templates() -> None:
    prompts = class_prompts(spec(classnames=("cat", "dog"), templates=("a {}.", "the {c}")))
    assert prompts.classnames == ("cat", "dog")
    assert prompts.texts("cat") == ("a cat.", "the cat")


def test_without_templates_there_is_a_usual_one() -> None:
    assert class_prompts(spec(classnames=("cat",))).texts("cat") == ("a photo of a cat.",)


def test_a_class_name_is_put_in_as_it_is() -> None:
    assert class_prompts(spec(classnames=("{0}",))).texts("{0}") == ("a photo of a {0}.",)


def test_clip_benchmark_gives_both() -> None:
    mnist = class_prompts(spec(prompts="clip-benchmark:mnist"))
    assert mnist.classnames == tuple("0123456789")
    assert 'a photo of the number: "7".' in mnist.texts("7")


def test_own_words_win_over_clip_benchmark() -> None:
    mixed = class_prompts(spec(prompts="clip-benchmark:mnist", templates=("digit {}",)))
    assert mixed.texts("7") == ("digit 7",)
    named = class_prompts(spec(prompts="clip-benchmark:cifar10", classnames=("cat",)))
    assert "a photo of a cat." in named.texts("cat")


@pytest.mark.parametrize(
    ("prompts", "reason"),
    [
        (None, "task 't' has no class names: add `classnames` or `prompts`"),
        ("clip-benchmark:eurosta", "does not know 'eurosta'; did you mean eurosat"),
        ("clip-benchmark:zzzz", "does not know 'zzzz'; it knows .*mnist"),
        ("clip-benchmark:cifar100", "has no classnames of 'cifar100': add `classnames`"),
    ],
)
def test_what_is_not_there_is_said(prompts: str | None, reason: str) -> None:
    assert has_classnames(spec(prompts=prompts)) == (prompts is not None)
    with pytest.raises(TaskError, match=reason):
        class_prompts(spec(prompts=prompts))


def test_neither_torch_nor_clip_benchmark_is_imported() -> None:
    code = (
        "import sys\n"
        "from vlmsel.tasks import TaskSpec, class_prompts\n"
        "class_prompts(TaskSpec(name='t', images='x', prompts='clip-benchmark:mnist'))\n"
        "sys.exit(bool({'torch', 'clip_benchmark', 'webdataset'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
