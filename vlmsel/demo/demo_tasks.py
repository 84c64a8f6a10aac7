"""The demo tasks: what they are (`families`) and how they are laid out on disk (`bundle`)."""

from vlmsel.demo.bundle import sample_truth, write_demo_tasks, write_sample_folder
from vlmsel.demo.families import DemoTask, Split, demo_task, demo_tasks, draw

__all__ = [
    "DemoTask",
    "Split",
    "demo_task",
    "demo_tasks",
    "draw",
    "sample_truth",
    "write_demo_tasks",
    "write_sample_folder",
]
