"""Tasks: images and class names, and how they are read.

    task_catalog (YAML -> TaskSpec) -> sources (which files)
                                    -> index (every image: id, sha256, label)
                                    -> shards (plan, read bytes) -> decoder (bytes -> RGB image)

`locations` opens files here and in object stores, `tars` and `parquets` read the packed formats,
`prompts` gives class names and templates, `labels` labels from folder names, `index_cache`
remembers what was read. Nothing here needs torch.
"""

from vlmsel.tasks.decoder import decode_image
from vlmsel.tasks.image_ref import ImageRef
from vlmsel.tasks.index import BadSource, TaskIndex, index_task
from vlmsel.tasks.prompts import ClassPrompts, class_prompts
from vlmsel.tasks.shards import Shard, plan_shards, read_shard
from vlmsel.tasks.task_catalog import TaskCatalog, TaskSpec, folder_task, load_tasks

__all__ = [
    "BadSource",
    "ClassPrompts",
    "ImageRef",
    "Shard",
    "TaskCatalog",
    "TaskIndex",
    "TaskSpec",
    "class_prompts",
    "decode_image",
    "folder_task",
    "index_task",
    "load_tasks",
    "plan_shards",
    "read_shard",
]
