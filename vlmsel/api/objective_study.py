"""Study of objectives: profiles under other settings, measured where they are missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import polars as pl

from vlmsel.api.laboratory import (
    Knowledge,
    current_knowledge,
    imported_knowledge,
    judged_tables,
)
from vlmsel.api.published_tables import chosen_profiles
from vlmsel.api.workspace import Workspace, default_want
from vlmsel.columns import MODEL
from vlmsel.errors import SelectionError
from vlmsel.evaluation.held_out import hold_out
from vlmsel.evaluation.studies.objectives import (
    REPEATS,
    SIGMAS,
    family_rows,
    noise_rows,
    symmetry_rows,
    variant_rows,
)
from vlmsel.evaluation.studies.setting_variants import to_stages
from vlmsel.evidence.evidence import Evidence
from vlmsel.execution.plan.run_options import RunOptions
from vlmsel.execution.plan.work_plan import Plan
from vlmsel.execution.run_summary import RunSummary
from vlmsel.measurements.embedding import EVERY_BLOCK, Embedding
from vlmsel.measurements.profile import Profile
from vlmsel.selection.block_matches import BlockMatches, BlockOutputs, match_blocks, split_blocks
from vlmsel.settings import Attribution, AttributionSettings

Run = Callable[[Plan, Workspace], RunSummary]

REFERENCE = "l2"
# Against what the reference measures; text towers cost most and come last.
VARIANTS: Mapping[str, Mapping[str, str]] = {
    REFERENCE: {},
    "entropy": {"objective": "entropy"},
    "variance": {"objective": "variance"},
    "alignment": {"objective": "alignment"},
    "score-mean": {"objective": "score-mean"},
    "score-class": {"objective": "score-class"},
    "score-class, text tower": {"objective": "score-class", "tower": "text"},
    "score-class, both towers": {"objective": "score-class", "tower": "both"},
    "score-mean, text tower": {"objective": "score-mean", "tower": "text"},
}
# Of the variants: one pass per image, where conductance takes some fourteen.
ATTRIBUTION: Attribution = "gradient_x_activation"
FEW, MANY = 25, 100
# Of every task, to match blocks by.
MATCHED_IMAGES = 10
HEADS = ("attnpool", "attn_pool", "clip_visual_head", "head")
OWN_ZOO, PUBLISHED_ZOO = "store", "published"


@dataclass(frozen=True)
class StudySizes:
    """Extent of the study.

    Attributes:
        variants: names of the objectives that are compared, among `VARIANTS`, the reference too.
        few: images per task of all profiles.
        many: images per task of the profiles that those of few images are compared with.
        sigmas: strengths of the noise.
        repeats: draws of the noise, over which values are averaged.
    """

    variants: tuple[str, ...] = tuple(VARIANTS)
    few: int = FEW
    many: int = MANY
    sigmas: tuple[float, ...] = SIGMAS
    repeats: int = REPEATS


FULL_SIZES = StudySizes()


@dataclass(frozen=True)
class ObjectiveStudy:
    """Rows of the study, and what could not be had.

    Attributes:
        rows: zoo, group, variant, selector, metric, n_targets, mean, then gain (over average rank)
            and change (against the group's reference), each with its 95 % interval.
        left_out: kind, name, reason.
        measured: what the runs came to.
        about: lines that say what each zoo is.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame
    measured: RunSummary
    about: tuple[str, ...]


def variant_settings(
    base: AttributionSettings,
    attribution: Attribution = ATTRIBUTION,
    names: Sequence[str] = FULL_SIZES.variants,
) -> dict[str, AttributionSettings]:
    """Settings by the name of the variant; what a variant does not name is that of `base`.

    Args:
        base: baseline, rule, path, precision.
        attribution: of every variant.
        names: of the variants.
    """
    plain = {"objective": "l2", "tower": "vision", "attribution": attribution}
    return {
        name: AttributionSettings.model_validate({**base.model_dump(), **plain, **VARIANTS[name]})
        for name in names
    }


def measure_profiles(
    workspace: Workspace,
    run: Run,
    settings: AttributionSettings,
    n_images: int,
    options: RunOptions | None = None,
) -> tuple[pl.DataFrame, RunSummary]:
    """Long profiles of the zoo under some settings; measures what is missing.

    Args:
        workspace: store, zoo and tasks.
        run: does a plan, in the way of whoever calls.
        settings: of the profiles.
        n_images: per task.
        options: how to measure.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
    """
    wanted = workspace.with_wants({"profile": Profile(settings=settings)}, {"profile": n_images})
    wanted.__dict__["catalogued"] = workspace.catalogued
    summary = run(wanted.plan(["profile"], options, name_unprompted=False), wanted)
    evidence = Evidence(wanted.store, workspace.catalogued, {"profile": wanted.wants["profile"]})
    return evidence.profiles, summary


def measure_blocks(
    workspace: Workspace, run: Run, options: RunOptions | None = None
) -> tuple[pl.DataFrame, RunSummary]:
    """Embeddings of every block on the first images of every task; measures what is missing.

    Returns:
        Rows with model, pretrained, task, image_id, vector; and what the run came to.

    Raises:
        ModelError, TaskError: nothing of the zoo, or of the tasks, can be used.
    """
    want = replace(
        default_want("embedding"),
        measurement=Embedding(layer=EVERY_BLOCK),
        n_images=MATCHED_IMAGES,
    )
    wanted = replace(workspace, wants={"embedding": want})
    wanted.__dict__["catalogued"] = workspace.catalogued
    summary = run(wanted.plan(["embedding"], options), wanted)
    evidence = Evidence(wanted.store, workspace.catalogued, wanted.wants)
    return evidence.read("embedding").measured, summary


def study_objectives(
    workspace: Workspace,
    run: Run,
    *,
    attribution: Attribution = ATTRIBUTION,
    seed: int = 0,
    keep_duplicates: bool = False,
    sizes: StudySizes = FULL_SIZES,
) -> ObjectiveStudy:
    """Compare objectives, blocks, symmetry, noise and architectures by leave-one-out.

    Profiles and embeddings that are missing are measured. Where published profiles and accuracies
    were imported into the store, the parts of the study that they allow are done on them, too.

    Args:
        workspace: store, zoo and tasks, with accuracies.
        run: does a plan, in the way of whoever calls.
        attribution: how the objectives are compared; all else is done on conductance.
        seed: of the noise.
        keep_duplicates: count near-duplicate checkpoints as models of their own.
        sizes: how much is compared.

    Raises:
        StoreError: no accuracy is known, or nothing could be measured.
        SelectionError: too little is known.
    """
    total = RunSummary()

    def counted(plan: Plan, wanted: Workspace) -> RunSummary:
        nonlocal total
        found = run(plan, wanted)
        total = total + found
        return found

    def measured(settings: AttributionSettings, n_images: int = sizes.few) -> pl.DataFrame:
        return measure_profiles(workspace, counted, settings, n_images)[0]

    conductance = variant_settings(workspace.settings, "conductance")[REFERENCE]
    knowledge = replace(current_knowledge(workspace), profiles=measured(conductance))
    once = judged_tables(knowledge, keep_duplicates=keep_duplicates)
    reference = knowledge.profiles if once.profiles is None else once.profiles
    left_out = [once.left_out]
    parts = [
        *_own_parts(measured, workspace.settings, attribution, reference, once.accuracies, sizes),
        *_shared_parts(reference, once.accuracies, seed, sizes),
    ]
    try:
        blocks, _ = measure_blocks(workspace, counted)
        matches = match_blocks(block_outputs(blocks, reference))
        parts += _family_part(reference, once.accuracies, matches)
    except SelectionError as error:
        left_out.append(_gap("architectures", str(error)))
    rows = [part.select(pl.lit(OWN_ZOO).alias("zoo"), pl.all()) for part in parts]
    about = [f"{OWN_ZOO}: {_describe_zoo(knowledge)}"]
    published = _read_published(workspace)
    if published is not None:
        found = judged_tables(published, keep_duplicates=keep_duplicates)
        left_out.append(found.left_out)
        profiles = published.profiles if found.profiles is None else found.profiles
        made = [*_published_parts(profiles, found.accuracies, seed, sizes)]
        try:
            made += _family_part(profiles, found.accuracies, None)
        except SelectionError as error:
            left_out.append(_gap("architectures of published models", str(error)))
        rows += [part.select(pl.lit(PUBLISHED_ZOO).alias("zoo"), pl.all()) for part in made]
        about.append(f"{PUBLISHED_ZOO}: {_describe_zoo(published)}")
    return ObjectiveStudy(
        pl.concat(rows), pl.concat(left_out, how="vertical_relaxed"), total, tuple(about)
    )


def _own_parts(
    measured: Callable[..., pl.DataFrame],
    base: AttributionSettings,
    attribution: Attribution,
    conductance: pl.DataFrame,
    accuracies: pl.DataFrame,
    sizes: StudySizes,
) -> Iterator[pl.DataFrame]:
    """Rows that need profiles of other settings."""
    settings = variant_settings(base, attribution, sizes.variants)
    frames = {name: measured(setting) for name, setting in settings.items()}
    known = {name: found for name, found in frames.items() if not found.is_empty()}
    yield _group(f"objectives by {attribution}", variant_rows(known, accuracies, REFERENCE))
    others = {
        name: measured(variant_settings(base, name)[REFERENCE])
        for name in get_args(Attribution)
        if name != "conductance"
    }
    compared = {"conductance": conductance, **others, "conductance, stages": to_stages(conductance)}
    yield _group("attributions", variant_rows(compared, accuracies, "conductance"))
    few, many = (f"{n} images, {attribution}" for n in (sizes.few, sizes.many))
    counts = {few: frames[REFERENCE], many: measured(settings[REFERENCE], sizes.many)}
    yield _group("images", variant_rows(counts, accuracies, few))


def _shared_parts(
    profiles: pl.DataFrame, accuracies: pl.DataFrame, seed: int, sizes: StudySizes
) -> Iterator[pl.DataFrame]:
    """Rows that need one set of profiles alone."""
    held_out = hold_out(accuracies, profiles)
    yield _group("symmetry", symmetry_rows(held_out))
    noisy = noise_rows(held_out, "no noise", sigmas=sizes.sigmas, repeats=sizes.repeats, seed=seed)
    yield _group("noise", noisy)


def _published_parts(
    profiles: pl.DataFrame, accuracies: pl.DataFrame, seed: int, sizes: StudySizes
) -> Iterator[pl.DataFrame]:
    headless = profiles.filter(~pl.col("block_name").is_in(HEADS))
    frames = {
        "published blocks": profiles,
        "without heads": headless,
        "stages": to_stages(headless),
    }
    yield _group("blocks", variant_rows(frames, accuracies, "published blocks"))
    yield from _shared_parts(profiles, accuracies, seed, sizes)


def _family_part(
    profiles: pl.DataFrame, accuracies: pl.DataFrame, matches: BlockMatches | None
) -> list[pl.DataFrame]:
    rows = family_rows(hold_out(accuracies, profiles), matches)
    return [
        _group(design, part.drop("design"))
        for (design,), part in rows.group_by("design", maintain_order=True)
    ]


def block_outputs(
    blocks: pl.DataFrame, profiles: pl.DataFrame
) -> dict[tuple[str, str], BlockOutputs]:
    """Stored embeddings of every block, by model, split by the number of its profiled blocks.

    Args:
        blocks: of `measure_blocks`.
        profiles: long profiles of every block.

    Raises:
        SelectionError: a model's embeddings are not those of its profiled blocks.
    """
    counts = profiles.group_by(MODEL).agg(pl.col("block").n_unique())
    n_blocks = {(model, pretrained): n for model, pretrained, n in counts.rows()}
    found: dict[tuple[str, str], BlockOutputs] = {}
    for (model, pretrained), rows in blocks.group_by(MODEL, maintain_order=True):
        key = (str(model), str(pretrained))
        if key in n_blocks:
            names = tuple((rows["task"] + "/" + rows["image_id"]).to_list())
            vectors = np.array(rows["vector"].to_list(), dtype=float)
            found[key] = BlockOutputs(names, split_blocks(vectors, n_blocks[key]))
    return found


def _read_published(workspace: Workspace) -> Knowledge | None:
    """Tables imported into the store; None where it has no published profiles."""
    address = workspace.store.address
    if chosen_profiles(address, ()).is_empty():
        return None
    return imported_knowledge(address)


def _describe_zoo(knowledge: Knowledge) -> str:
    """Words for a zoo, of which a page should not say where its store lay."""
    return knowledge.about.partition(", store ")[0]


def _group(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.lit(name).alias("group"), pl.all())


def _gap(name: str, reason: str) -> pl.DataFrame:
    return pl.DataFrame({"kind": ["part"], "name": [name], "reason": [reason]})
