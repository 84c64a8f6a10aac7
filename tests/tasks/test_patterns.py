import glob
import time
from pathlib import Path

import pytest
from braceexpand import braceexpand
from hypothesis import given
from hypothesis import strategies as st

from vlmsel.errors import TaskError
from vlmsel.tasks.patterns import count_names, expand_braces, glob_pattern

NAMES = ["a.tar", "b.tar", "ab.tar", "a-b.tar", ".tar", "x/a.tar", "x/y/b.tar", "x/y/z/a.tar"]
patterns = st.lists(
    st.sampled_from(["a", "b", "x", "*", "?", "[ab]", "[!a]", "[a-c]", "-", "/", "**/", ".tar"]),
    min_size=1, max_size=6,
).map("".join)  # fmt: skip


@given(patterns)
def test_patterns_mean_what_they_mean_to_a_shell(tmp_path_factory, pattern: str) -> None:
    if (
        "//" in pattern
        or pattern.startswith("/")
        or pattern.endswith(("/", "**"))
        or "**a" in pattern
    ):
        return
    root = tmp_path_factory.getbasetemp() / "files"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    found = {
        str(Path(path).relative_to(root))
        for path in glob.glob(f"{root}/{pattern}", recursive=True, include_hidden=True)
        if Path(path).is_file()
    }
    fits = glob_pattern(f"{root}/{pattern}")
    assert {name for name in NAMES if fits.fullmatch(f"{root}/{name}")} == found


@given(
    st.recursive(
        st.sampled_from(["a", "b", "{0..3}", "{a..c}", "{00..10..5}", "{3..1}"]),
        lambda inner: (
            st.lists(inner, min_size=2, max_size=3).map(lambda x: "{" + ",".join(x) + "}")
            | st.lists(inner, min_size=1, max_size=3).map("".join)
        ),
        max_leaves=6,
    )
)
def test_names_are_counted_as_they_are_expanded(text: str) -> None:
    assert count_names(text) == len(list(braceexpand(text)))
    assert expand_braces(text, text) == sorted(set(braceexpand(text)))


@pytest.mark.parametrize(
    "text", ["x-{0..99999999}.tar", "{a,b}" * 28, "{0..999}{0..999}", "{{0..9999},a}{0..99}"]
)
def test_too_many_names_are_refused_before_they_are_made(text: str) -> None:
    start = time.process_time()
    with pytest.raises(TaskError, match=r"stand for \d+ files, more than 100000"):
        expand_braces(text, text)
    assert time.process_time() - start < 1


def test_braces_that_do_not_close_are_named() -> None:
    with pytest.raises(TaskError, match=r"the braces in s-\{1,2\.tar cannot be expanded"):
        expand_braces("s-{1,2.tar", "s-{1,2.tar")
