"""A made-up store, filled once per session."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.api.made_store import MadeStore, make_store
from tests.shared_folders import fill_once


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeStore:
    """Filled once per session; do not write to its store, take `own_made` for that."""
    folder = fill_once(tmp_path_factory, "made", make_store)
    return MadeStore(
        zoo=folder / "zoo.yaml",
        tasks=folder / "tasks.yaml",
        store=folder / "store",
        images=folder / "images",
    )


@pytest.fixture
def own_made(made: MadeStore, tmp_path: Path) -> MadeStore:
    """The same with a store of its own, to be written to."""
    return replace(made, store=Path(shutil.copytree(made.store, tmp_path / "store")))
