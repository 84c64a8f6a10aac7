"""Seconds from the command `vlmsel label` to "you can stop", by a script that labels truthfully.

    python bench/label_page.py STORE

STORE is that of `vlmsel demo`, of which a copy is worked on; letters-a is left out of its sources.
A new folder of 100 pictures of letters-a is drawn, the command is started in a process of its own,
and every picture that the page asks for gets its true label until the advice is to stop. Prints
seconds, labels, the expected regret, and the regret of the first choice on all 100 pictures.
"""

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import yaml

from vlmsel.api.answer import AnswerOptions, answer_images
from vlmsel.api.known_zoo import known_zoo
from vlmsel.api.workspace import open_workspace
from vlmsel.demo.demo_tasks import demo_task, sample_truth, write_sample_folder

TASK, N_IMAGES, POLL_S = demo_task("letters-a"), 100, 0.05
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+/)\?token=(\S+)")


class Hand:
    """A person at the page, who is always right."""

    def __init__(self, line: str) -> None:
        found = ADDRESS.search(line)
        assert found, line
        self._address, self._token = found[1], found[2]

    def ask(self, path: str, body: dict | None = None) -> dict:
        """The page's own requests."""
        request = urllib.request.Request(
            f"{self._address}api/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vlmsel-Token": self._token, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def work(hand: Hand, truth: dict[str, str]) -> dict:
    """Label until it says to stop; the last state."""
    state = hand.ask("state")
    while not (state["standing"] and state["standing"]["enough"]):
        done = state["measuring"]["phase"] == "done"
        if done and state["is_current"] and not state["queue"]:
            return state
        # Labels beyond the first 25 only where the models have answered and it is not enough.
        if state["queue"] and (state["labelled"] < 25 or (done and state["is_current"])):
            image = state["queue"][0]["id"]
            state = hand.ask("label", {"image": image, "label": truth[image]})
        else:
            time.sleep(POLL_S)
            state = hand.ask("state")
    return state


def held_out(store: str, path: Path) -> Path:
    """A catalog of the store's tasks without the one that is labelled."""
    tasks = [task for task in open_workspace(store).tasks.tasks if task.name != TASK.name]
    entries = [task.model_dump(mode="json", exclude_none=True) for task in tasks]
    path.write_text(yaml.safe_dump({"tasks": entries}))
    return path


def main() -> None:
    truth = sample_truth(TASK, N_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        store = shutil.copytree(sys.argv[1], Path(folder) / "store")
        images = write_sample_folder(Path(folder) / "letters", TASK, n=N_IMAGES)
        templates = [word for text in TASK.templates for word in ("--template", text)]
        names = ",".join(TASK.classnames)
        code = "from vlmsel.cli import main; main()"
        sources = held_out(str(store), Path(folder) / "tasks.yaml")
        command = [sys.executable, "-c", code, "label", str(images), "--store", str(store)]
        command += ["--tasks", str(sources)]
        start = time.monotonic()
        server = subprocess.Popen(
            [*command, "--classnames", names, *templates, "--no-browser"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        hand = Hand(server.stdout.readline())
        served = time.monotonic() - start
        state = work(hand, truth)
        stopped = time.monotonic() - start
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=300)
        standing = state["standing"]
        options = AnswerOptions(classnames=TASK.classnames, templates=TASK.templates)
        # The truth: all models on all pictures.
        found = answer_images(images, known_zoo(str(store), None, str(sources)), options)
        answers = found.answers
        assert answers is not None
        right = np.array([TASK.classnames.index(truth[image]) for image in answers.images])
        accuracy = (answers.classes == right).mean(axis=1)
        first = answers.models.index(tuple(standing["first"].rsplit("/", 1)))
        sys.stdout.write(
            f"page after {served:.1f} s, stop after {stopped:.1f} s at {state['labelled']} labels, "
            f"{state['measuring']['models_done']} of {len(answers.models)} models had answered\n"
            f"first choice {standing['first']}, expected regret {100 * standing['regret']:.1f}\n"
            f"its accuracy on {len(right)} pictures {100 * accuracy[first]:.0f} %, "
            f"the best {100 * accuracy.max():.0f} %: "
            f"regret {100 * (accuracy.max() - accuracy[first]):.1f} points\n"
        )


if __name__ == "__main__":
    main()
