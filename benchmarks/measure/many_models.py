"""How long a server with five hundred models takes to be ready, against the bare C API's time
for loading them."""

import os
import shlex
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import model as headline
from contestants import tensorwire
from contestants.bare import Bare
from contestants.running import Running
from markdown import spread
from part import Bench, Found
from paths import WORK
from saved_model import look_into
from target import Target

TITLE = "Many models"
MANY = 500
# A run of one round shows that it works.
QUICK_MANY = 50
KEY = "models-ready"


@dataclass(frozen=True)
class Samples:
    """Seconds, by round: `bare` is the sum of the models' loads in the bare program, `ours`
    the time from the open port to health; `threads`: how many can load side by side."""

    models: int
    threads: int
    bare: list[float]
    ours: list[float]

    def ratio(self) -> float:
        """Ours against the sum over the threads: the median of the rounds' ratios."""
        pairs = zip(self.ours, self.bare, strict=True)
        return statistics.median(ours / (bare / self.threads) for ours, bare in pairs)


def measure(bench: Bench) -> Found:
    """Both on all cores, in turn. The models are copies in folders of their own; measures of
    earlier starts are not used, so that each is a model of its own to the server."""
    count = QUICK_MANY if bench.plan.rounds == 1 else MANY
    folders = _copies(bench.model.folder, count)
    served = look_into(headline.NAME, bench.model.folder, (headline.WIDTH,))
    named = {folder.parent.name: folder for folder in folders}
    contestant = tensorwire.serving(KEY, named, [], "--measure-cache", "off")
    bare_seconds, ours = [], []
    commands: dict[str, str] = {}
    for number in range(bench.plan.rounds):
        with Bare("bare-models", served, folders) as bare:
            bare_seconds.append(bare.load_seconds)
            commands["start bare, many models"] = _short(bare.command)
        with Running(contestant, None, wait=False) as server:
            started = time.monotonic()
            server.watch_health()
            ours.append(time.monotonic() - started)
            commands[f"start {KEY}"] = _short(server.command)
        print(
            f"round {number + 1}  bare {bare_seconds[-1]:.2f} s in all  "
            f"tensorwire ready after {ours[-1]:.2f} s",
            flush=True,
        )
    threads = len(os.sched_getaffinity(0))
    return Found(Samples(count, threads, bare_seconds, ours), commands)


def targets(samples: Samples | None) -> Sequence[Target]:
    """A fifth is what reading and checking each model's graph, threads and the registry may
    cost."""
    value = None if samples is None else samples.ratio()
    text = f"{MANY} models: time to ready, times the bare C API's loads shared by as many threads"
    return [Target(text, 1.2, False, value)]


def describe(samples: Samples) -> str:
    """Both times and what stands between them."""
    return (
        f"The headline's network in {samples.models} folders. The bare program loads one after "
        f"the other in {spread(samples.bare, 2)} s; the server loads as many side by side as "
        f"there are cores, here {samples.threads}, so that no more than that sum divided by "
        "their number can be expected. From its open port, when TensorFlow's library is "
        f"loaded, to its health it takes {spread(samples.ours, 2)} s. Each version serves as "
        "soon as it is loaded; what its batches cost is measured afterwards, one by one."
    )


def _copies(folder: Path, count: int) -> list[Path]:
    copies = [WORK / "many" / f"model-{index:03}" / folder.name for index in range(count)]
    for copy in copies:
        if not copy.is_dir():
            shutil.copytree(folder, copy)
    return copies


def _short(command: Sequence[str]) -> str:
    """The command with its first two models."""
    line = shlex.join(command)
    first, *more = line.split("model-002")
    return f"{first.rpartition(' ')[0]} ..." if more else line
