"""Noisy copies of the embedded tasks: a simulated shift under which one layer may hurt.

Gaussian noise of a standard deviation is added to every pixel of the tasks ending in -a, drawn with
seed 0 in the order of the catalog; labels and prompts stay. Used for docs/guide/layers.md:

    python bench/noisy_tasks.py vlmsel-demo/tasks noisy
    vlmsel measure knockout --zoo demo --tasks noisy/tasks.yaml --n-images all --store noisy-store
    vlmsel layers adapt --store noisy-store --model demo-vit-digits --task counting-a-noise
"""

import argparse
import io
import tarfile
from pathlib import Path

import numpy as np
import yaml
from PIL import Image


def add_noise(data: bytes, deviation: float, rng: np.random.Generator) -> bytes:
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
    noisy = np.clip(pixels + rng.normal(0, deviation, pixels.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "PNG")
    return buffer.getvalue()


def copy_task(source: Path, target: Path, deviation: float, rng: np.random.Generator) -> None:
    with tarfile.open(source) as tar, tarfile.open(target, "w") as copy:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            data = b"" if file is None else file.read()
            if member.name.endswith(".png"):
                data = add_noise(data, deviation, rng)
            info = tarfile.TarInfo(member.name)
            info.size = len(data)
            copy.addfile(info, io.BytesIO(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", type=Path, help="folder of the embedded tasks")
    parser.add_argument("out", type=Path)
    parser.add_argument("--deviation", type=float, default=40.0)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    kept = []
    for task in yaml.safe_load((asked.tasks / "tasks.yaml").read_text())["tasks"]:
        if task["name"].endswith("-a"):
            name = f"{task['name']}-noise"
            copy_task(asked.tasks / task["images"], asked.out / f"{name}.tar", asked.deviation, rng)
            kept.append({**task, "name": name, "images": f"{name}.tar"})
    (asked.out / "tasks.yaml").write_text(yaml.safe_dump({"tasks": kept}, sort_keys=False))
    print(f"{len(kept)} noisy tasks in {asked.out}")


if __name__ == "__main__":
    main()
