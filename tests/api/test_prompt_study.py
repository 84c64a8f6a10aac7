import pytest

from vlmsel.api.prompt_study import compare_sets, prompts_page, summarise, with_templates
from vlmsel.errors import CatalogError, TaskError
from vlmsel.tasks.prompts import class_prompts
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec, load_tasks


def spec(**fields):
    return TaskSpec(**{"name": "t", "images": "x", "classnames": ("a", "b"), **fields})


def test_every_set_is_a_catalog_of_the_tasks_that_have_it():
    tasks = TaskCatalog(
        tasks=(
            spec(templates=("my {}",), template_sets={"art": ("a drawing of a {}.", "{c}, art")}),
            spec(name="u"),
            TaskSpec(name="target", images="y"),
        )
    )
    found = with_templates(tasks)
    assert {name: [s.name for s in catalog.tasks] for name, catalog in found.items()} == {
        "catalog": ["t", "u"],
        "art": ["t"],
        "name": ["t", "u"],
        "photo": ["t", "u"],
    }
    assert class_prompts(found["catalog"].tasks[0]).templates == ("my {}",)
    assert class_prompts(found["art"].tasks[0]).texts("cat") == ("a drawing of a cat.", "cat, art")
    digests = {class_prompts(catalog.tasks[0]).digest for catalog in found.values()}
    assert len(digests) == 4, "each has cells of its own"


def test_without_class_names_there_is_nothing_to_prompt():
    with pytest.raises(TaskError, match="no task has class names"):
        with_templates(TaskCatalog(tasks=(TaskSpec(name="t", images="x"),)))


def test_a_template_without_a_place_is_refused(tmp_path):
    path = tmp_path / "tasks.yaml"
    text = "tasks: [{name: t, images: x, classnames: [a], template_sets: {art: [a drawing]}}]"
    path.write_text(text)
    with pytest.raises(CatalogError, match=r"must hold .* once"):
        load_tasks(path)


def test_summary_counts_ties_for_all():
    import polars as pl

    table = pl.DataFrame(
        {
            "templates": ["a", "b", "a", "b"],
            "n_templates": [1, 2, 1, 2],
            "model": ["m", "m", "n", "n"],
            "pretrained": ["p"] * 4,
            "task": ["t"] * 4,
            "acc1": [0.5, 0.5, 0.2, 0.4],
        }
    )
    rows = summarise(table).rows()
    assert rows == [("t", "b", 2, 2, 0.45, 2), ("t", "a", 1, 2, 0.35, 1)]


def test_sets_are_compared_over_tasks_and_written_as_a_page():
    import polars as pl

    rows = [
        (name, model, "p", f"t{task}", acc)
        for task in range(12)
        for name, accuracies in {"catalog": (0.5, 0.6, 0.7), "x": (0.6, 0.7, 0.5)}.items()
        for model, acc in zip("abc", accuracies, strict=True)
    ]
    columns = ["templates", "model", "pretrained", "task", "acc1"]
    table = pl.DataFrame(rows, schema=columns, orient="row").with_columns(n_templates=1)
    found = {(r["selector"], r["metric"]): r for r in compare_sets(table).iter_rows(named=True)}
    assert found["catalog", "tau"]["mean"] == 1.0
    # Of three pairs of models one is ordered alike.
    assert found["x", "tau"]["mean"] == pytest.approx(-1 / 3)
    assert found["x", "acc1"]["delta"] == pytest.approx(0.0)
    page = prompts_page(table, "`vlmsel study prompts` on today, 2 cores")
    assert "12 tasks x 3 models" in page
    assert "| x | 12 | 0.600 (0.600 to 0.600) | +0.000 (+0.000 to +0.000) | -0.333" in page
    assert "| t11 | 0.600 | 0.600 |" in page
