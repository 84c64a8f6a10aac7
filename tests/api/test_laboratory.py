"""The laboratory on imported tables and on a measured store: what is judged, and what it lacks."""

from pathlib import Path

import polars as pl
import pytest

from tests.api.imported_tables import (
    MANY,
    accuracy_table,
    import_accuracies,
    import_profiles,
    profile_table,
)
from tests.api.made_store import N_BLOCKS, N_IMAGES, TASKS, MadeStore, n_right
from vlmsel.api.laboratory import (
    Knowledge,
    current_knowledge,
    evaluate,
    find_unusable_selectors,
    imported_knowledge,
    judged_tables,
    make_selectors,
    mean_dcd,
    require_inputs,
    supply_of,
    sweep_dcd,
    usable_selectors,
)
from vlmsel.api.workspace import open_workspace
from vlmsel.errors import SelectionError, StoreError
from vlmsel.evaluation.label_budgets import Budgets

BOTH = ("average-rank", "dcd")


@pytest.fixture
def imported(tmp_path: Path) -> Knowledge:
    """Accuracies and profiles of four models on five tasks."""
    import_profiles(import_accuracies(tmp_path))
    return imported_knowledge(tmp_path)


def means(found: pl.DataFrame, metric: str = "tau") -> dict[str, float]:
    return dict(found.filter(metric=metric).select("selector", "mean").iter_rows())


def test_what_is_measured_is_known(made: MadeStore) -> None:
    knowledge = current_knowledge(made.workspace())
    assert knowledge.about == f"5 models, 6 tasks, store {made.store}"
    for model, task, acc1 in knowledge.accuracies.select("model", "task", "acc1").iter_rows():
        assert acc1 == pytest.approx(n_right(model, task) / N_IMAGES)
    assert knowledge.accuracies.height == 5 * 6
    assert knowledge.has_profiles
    assert knowledge.profiles.height == 5 * 6 * N_IMAGES * N_BLOCKS
    assert tuple(knowledge.answers) == TASKS
    # As many as are profiled, unless a number is given.
    assert len(knowledge.first_answers(None)["ant"].images) == N_IMAGES
    assert len(knowledge.first_answers(4)["ant"].images) == 4


def test_a_zoo_without_accuracies_says_how_to_measure_them(made: MadeStore, tmp_path: Path) -> None:
    empty = open_workspace(tmp_path, zoo=made.zoo, tasks=made.tasks, kinds=["prediction"])
    with pytest.raises(StoreError, match="holds no accuracy of this zoo on these tasks: run `vlm"):
        current_knowledge(empty)
    with pytest.raises(StoreError, match="holds no profile: run `vlmsel measure profile` first"):
        current_knowledge(empty.with_defaults())


def test_logits_are_read_on_request(made: MadeStore) -> None:
    plain = find_unusable_selectors(current_knowledge(made.workspace()))
    assert "it reads the logits of the answers" in plain["confidence"]
    whole = current_knowledge(made.workspace(), with_logits=True)
    assert "confidence" in usable_selectors(whole)
    assert "confidence" not in find_unusable_selectors(whole)


def test_a_task_in_the_other_order_is_ranked_wrong_and_the_others_right(made: MadeStore) -> None:
    found = evaluate(current_knowledge(made.workspace()), ["average-rank"], is_cached=False)
    taus = dict(found.metrics.filter(metric="tau").select("target", "value").iter_rows())
    assert taus == pytest.approx({task: -1 if task == "odd" else 1 for task in TASKS})
    assert found.left_out.is_empty()


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (accuracy_table(1), "only one model, m0/x"),
        (accuracy_table(4, ("mnist",)), "only one task, mnist"),
    ],
)
def test_too_small_a_table_is_refused(tmp_path: Path, table: pl.DataFrame, why: str) -> None:
    knowledge = imported_knowledge(import_accuracies(tmp_path, table))
    with pytest.raises(SelectionError, match=f"no task can be held out: there is {why}; give at"):
        evaluate(knowledge, ["average-rank"])


def test_a_missing_cell_shrinks_the_zoo_of_its_task(tmp_path: Path) -> None:
    table = accuracy_table().filter(~((pl.col("model") == "m1") & (pl.col("task") == "mnist")))
    found = evaluate(imported_knowledge(import_accuracies(tmp_path, table)), ["average-rank"])
    sizes = dict(found.metrics.select("target", "n_models").iter_rows())
    assert (sizes["mnist"], sizes["svhn"], len(sizes)) == (3, 4, 5)


def test_profiles_of_other_models_are_refused(tmp_path: Path) -> None:
    store = import_profiles(import_accuracies(tmp_path), profile_table(range(7, 9)))
    names = r"profiles: m7/x, m8/x; accuracies: m0/x, m1/x and 2 more"
    with pytest.raises(StoreError, match=names):
        imported_knowledge(store)


def test_a_profile_that_lacks_leaves_its_model_out_of_that_task(tmp_path: Path) -> None:
    hole = (pl.col("model") == "m0") & (pl.col("task") == "mnist")
    store = import_profiles(import_accuracies(tmp_path), profile_table().filter(~hole))
    found = evaluate(imported_knowledge(store), BOTH)
    sizes = dict(found.metrics.select("target", "n_models").iter_rows())
    assert (sizes["mnist"], sizes["svhn"]) == (3, 4)


def test_duplicates_count_once_unless_kept(tmp_path: Path) -> None:
    shapes = profile_table(range(3))
    twin = shapes.filter(model="m1").with_columns(model=pl.lit("m3"))
    knowledge = imported_knowledge(
        import_profiles(import_accuracies(tmp_path), pl.concat([shapes, twin]))
    )
    once = judged_tables(knowledge)
    assert once.left_out.rows() == [
        ("model", "m3/x", "its profiles equal those of m1/x; counted once")
    ]
    kept = judged_tables(knowledge, keep_duplicates=True)
    assert kept.left_out.is_empty()
    assert kept.accuracies["model"].n_unique() == 4
    assert set(evaluate(knowledge, ["average-rank"]).metrics["n_models"]) == {3}
    found = evaluate(knowledge, ["average-rank"], keep_duplicates=True)
    assert set(found.metrics["n_models"]) == {4}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dcd": {"eat": 4}}, "dcd: unknown option eat; its options are: gamma, .*, eta, "),
        ({"dcd": {"gamma": -1}}, "option gamma=-1: input should be greater than or equal to 0"),
        ({"dcd": {"eta": "x"}}, "option eta='x': input should be a valid number"),
        ({"cosine": {"gamma": 1}}, "options for cosine, which is not compared here: average-rank"),
    ],
)
def test_wrong_options_are_refused(options: dict, why: str) -> None:
    with pytest.raises(SelectionError, match=why):
        make_selectors(BOTH, options)


def test_options_reach_the_selector(tmp_path: Path) -> None:
    table = accuracy_table(value=lambda i, j: 0.3 + 0.01 * ((i * 5 + j * 3) % 7))
    knowledge = imported_knowledge(import_profiles(import_accuracies(tmp_path, table)))
    taus = {
        gamma: means(evaluate(knowledge, BOTH, options={"dcd": {"gamma": gamma}}).summary())
        for gamma in (0, 50)
    }
    # Gamma 0 weighs all sources alike, which is average rank.
    assert taus[0]["dcd"] == pytest.approx(taus[0]["average-rank"])
    assert taus[50]["dcd"] != pytest.approx(taus[0]["dcd"])


def test_what_cannot_be_judged_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    found = evaluate(imported_knowledge(import_accuracies(tmp_path)))
    assert {"average-rank", "average-accuracy", "random"} <= set(found.metrics["selector"])
    lacks = {name: why for kind, name, why in found.left_out.rows() if kind == "selector"}
    assert lacks["imagenet"].startswith("no accuracy on ImageNet is known")
    assert "profiles" in lacks["dcd"]
    assert "--labels" in lacks["posterior"]
    assert "`vlmsel measure embedding" in lacks["swab"]


def test_simulated_labels_help_the_posterior(tmp_path: Path) -> None:
    knowledge = imported_knowledge(import_accuracies(tmp_path, accuracy_table(tasks=MANY)))
    budgets = Budgets((0, 400), n_draws=2)
    found = evaluate(knowledge, ["average-rank", "posterior"], budgets=budgets)
    taus = means(found.summary())
    assert taus["posterior@0"] == pytest.approx(taus["average-rank"])
    assert set(taus) == {"average-rank", "posterior@0", "posterior@400"}


def test_inputs_are_required_before_the_work(imported: Knowledge) -> None:
    require_inputs(None, imported)
    require_inputs("dcd", imported)
    with pytest.raises(SelectionError, match=r"imagenet cannot rank new images: .*usable are aver"):
        require_inputs("imagenet", imported)
    with pytest.raises(SelectionError, match=r"oracle-similarity .*true accuracies"):
        require_inputs("oracle-similarity", imported)


def test_a_learning_selector_needs_two_sources(made: MadeStore) -> None:
    knowledge = current_knowledge(made.workspace())
    alone = Knowledge(
        knowledge.accuracies.filter(task="ant"), knowledge.profiles.filter(task="ant"), "one task"
    )
    assert supply_of(alone).n_sources == 1
    with pytest.raises(SelectionError, match="it needs 2 source tasks with accuracies, there is 1"):
        require_inputs("combined", alone)


def test_imagenet_is_no_source() -> None:
    table = accuracy_table(tasks=("mnist", "imagenet1k"))
    supply = supply_of(Knowledge(table, pl.DataFrame(schema={"task": pl.String}), "made up"))
    assert (supply.n_sources, supply.n_models["imagenet1k"]) == (1, 4)


def test_a_sweep_judges_every_point(imported: Knowledge) -> None:
    found = sweep_dcd(imported, etas=[0, 2], gammas=[0, 5, 10])
    assert found.select("eta", "gamma").n_unique() == 6
    assert set(found["target"]) == set(imported.accuracies["task"])


def test_divergences_are_of_tasks_with_accuracies(tmp_path: Path) -> None:
    more = profile_table(tasks=("mnist", "svhn", "cars"))
    table = accuracy_table(tasks=("mnist", "svhn"))
    found = mean_dcd(imported_knowledge(import_profiles(import_accuracies(tmp_path, table), more)))
    assert found is not None
    assert set(found["target"]) == {"mnist", "svhn"}
