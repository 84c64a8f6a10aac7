"""The embedded demo: tasks that are really labelled, and small models that are really trained.

    drawing -> families -> bundle -> tars and tasks.yaml, for all that reads tasks
                   |
    recipes -> lessons -> demo_checkpoint, zeroshot -> models/, manifest.json, for a zoo

    demo_questions -> question_bundle -> Parquet and questions.yaml: multiple-choice questions
          |
    vlm_recipes -> vlm_lessons -> vlm_folder -> vlms/, vlm_manifest.json: generative models

`demo_tasks` gives pictures, `ZOO` and `MANIFEST` give models. `model_builder` made what lies in
`models/`, `vlm_builder` what lies in `vlms/`; nothing is trained when the demo runs.
"""

from pathlib import Path

ZOO = Path(__file__).parent / "zoo.yaml"
"""Catalog of the embedded models."""

MANIFEST = Path(__file__).parent / "manifest.json"
"""How the embedded models were made: hashes, seeds and accuracies."""

VLM_ZOO = Path(__file__).parent / "vlm_zoo.yaml"
"""Catalog of the embedded generative models; they need transformers."""

VLM_MANIFEST = Path(__file__).parent / "vlm_manifest.json"
"""How they were made."""
