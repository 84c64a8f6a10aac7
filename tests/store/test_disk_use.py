from tests.store.cases import PROFILE, make_cell, make_rows
from vlmsel.store import Store
from vlmsel.store.compaction import compact_settings
from vlmsel.store.disk_use import Size, store_sizes


def test_cells_files_and_bytes(store_uri):
    store = Store(store_uri)
    for model in ("A", "B"):
        for images in (("a",), ("b",)):
            cell = make_cell(model=model, images=images)
            store.write(cell, PROFILE, make_rows(cell, images))
    before = {(used.what, used.model): used for used in store_sizes(store.folder)}
    assert before["profile", "A/openai"].cells == 2
    assert before["profile", "A/openai"].files == 2
    compact_settings(store.folder, PROFILE.kind, PROFILE.digest, lambda cell: True)
    after = {(used.what, used.model): used for used in store_sizes(store.folder)}
    assert after["profile", "A/openai"].cells == 2
    on_disk = [e for e in store.folder.entries("profile") if "A@" in e.path]
    size = sum(entry.size for entry in on_disk)
    assert after["profile", "A/openai"] == Size("profile", "A/openai", 2, 2, size)
    assert after["profile", ""].files == 1, "the settings"
