"""Stand-ins for what a reconciler works with. Nothing here waits: a test has each job done
when it wants it, and the clock stands still until it is moved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorwire._core import NativeError
from tensorwire.config.lifecycle import LifecycleConfig
from tensorwire.errors import ModelLoadError
from tensorwire.repository.change import Change
from tensorwire.repository.crew import Crew
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.reconciler import Reconciler
from tensorwire.repository.source import FetchWatcher, ModelVersion, Source

Job = Callable[[], None]


class RecordedRetired:
    """Writes down that it was freed."""

    def __init__(self, name: str, freed: list[str]) -> None:
        self._name, self._freed = name, freed

    def free(self) -> None:
        self._freed.append(self._name)


class RecordingEngine:
    """Writes down what it is told, and keeps what would answer; refuses what it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.available: dict[str, dict[int, str]] = {}
        self.options: list[str] = []
        self.labels: dict[str, dict[str, int]] = {}
        self.errors: dict[tuple[str, int], str] = {}
        self.refuse: set[str] = set()
        self.declared: set[str] = set()
        """The models that health waits for."""

        self.freed: list[str] = []
        """What was freed in other ways than by a call to this."""

    def declare(self, name: str) -> None:
        self.calls.append(f"declare {name}")
        self.declared.add(name)

    def start(self, name: str, version: int) -> None:
        self.calls.append(f"start {name} {version}")

    def load(self, name: str, version: int, path: str, options: str) -> RecordedRetired | None:
        self.declared.add(name)
        if path in self.refuse:
            raise NativeError("DATA_LOSS", f"{path} is corrupt", "")
        self.calls.append(f"load {name} {version}")
        there = self.available.setdefault(name, {})
        before, there[version] = there.get(version), path
        self.options.append(options)
        return None if before is None else RecordedRetired(f"{name} {version}", self.freed)

    def unload(self, name: str, version: int) -> bool:
        self.calls.append(f"unload {name} {version}")
        return self.available.get(name, {}).pop(version, None) is not None

    def set_labels(self, name: str, labels: dict[str, int]) -> None:
        self.calls.append(f"labels {name} {labels}")
        self.labels[name] = labels

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        self.calls.append(f"fail {name} {version} {code}")
        self.errors[name, version] = message

    def forget(self, name: str, version: int) -> bool:
        self.calls.append(f"forget {name} {version}")
        return True

    def remove(self, name: str, still_wanted: bool) -> RecordedRetired | None:
        self.calls.append(f"remove {name}" + " but for its name" * still_wanted)
        self.available.pop(name, None)
        was_known = name in self.declared
        if not still_wanted:
            self.declared.discard(name)
        return RecordedRetired(name, self.freed) if was_known else None

    def taken(self) -> list[str]:
        """What it was told since this was last asked, but for START."""
        calls, self.calls = self.calls, []
        return [call for call in calls if not call.startswith("start ")]


class PatientWorkers:
    """Keeps jobs until they are done by hand."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, job: Job) -> None:
        self.jobs.append(job)

    def stop(self) -> None:
        self.jobs.clear()

    def join(self, end: float) -> bool:
        return not self.jobs

    def do_all(self) -> int:
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()
        return len(jobs)


class ScriptedSource:
    """Offers what a test sets, or raises it."""

    def __init__(self, *numbers: int) -> None:
        self.offers: Any = []
        """What a look answers, or raises."""

        self.offer(*numbers)
        self.looks = 0
        self.released: list[int] = []
        self.unfetchable: dict[int, Exception] = {}
        self.watchers: list[FetchWatcher] = []
        self.looks = 0

    def offer(self, *numbers: int, stamp: str = "s") -> None:
        self.offers = [ModelVersion(each, f"/m/{each}", stamp=stamp) for each in numbers]

    def versions(self) -> list[ModelVersion]:
        self.looks += 1
        if isinstance(self.offers, BaseException):
            raise self.offers
        return self.offers  # type: ignore[no-any-return]

    def fetch(self, version: ModelVersion, watcher: FetchWatcher) -> Path:
        self.watchers.append(watcher)
        if version.number in self.unfetchable:
            raise self.unfetchable[version.number]
        return Path(version.location)

    def release(self, version: ModelVersion) -> None:
        self.released.append(version.number)


class CannedExporter:
    """Answers with one directory, or refuses."""

    def __init__(self, made: Path | None = None) -> None:
        self._made = made
        self.cancelled = False

    def export(self, path: Path) -> Path:
        if self._made is None:
            raise ModelLoadError(f"{path} can't be exported")
        return self._made

    def cancel(self) -> None:
        self.cancelled = True


def no_options(_model: ModelConfig, _folder: Path) -> str:
    return "{}"


class Bench:
    """A reconciler that does nothing by itself, and all that is around it."""

    def __init__(self, **settings: object) -> None:
        self.engine = RecordingEngine()
        self.exporter = CannedExporter()
        self.options: Callable[[ModelConfig, Path], str] = no_options
        self.now = 0.0
        self.sources: dict[str, Source] = {}
        """What is at some URLs."""
        self.look, self.fetch = PatientWorkers(), PatientWorkers()
        self.load, self.unload = PatientWorkers(), PatientWorkers()
        crew = Crew(self.look, self.fetch, self.load, self._unload)  # type: ignore[arg-type]
        self.reconciler = Reconciler(
            self.engine,
            self.exporter,
            lambda model, folder: self.options(model, folder),
            LifecycleConfig(**settings),  # type: ignore[arg-type]
            clock=lambda: self.now,
            crew=crew,
            open_source=lambda config: self.sources.get(config.base_path) or config.open(),
        )

    def _unload(self, job: Job) -> None:
        # Not its method of now: a test may exchange it.
        self.unload.run(job)

    def settle(self, *but: PatientWorkers) -> None:
        """Does all there is to do now, but for the jobs of some."""
        each = [self.look, self.fetch, self.load, self.unload]
        self.reconciler.step()
        while sum(workers.do_all() for workers in each if workers not in but):
            self.reconciler.step()

    def pass_time(self, seconds: float, *but: PatientWorkers) -> None:
        self.now += seconds
        self.settle(*but)

    def poll(self) -> None:
        """Two looks: what has changed is quiet at the second."""
        self.pass_time(1.0)
        self.pass_time(1.0)

    def serve(self, *models: ModelConfig, **how: bool) -> Change:
        change = self.reconciler.apply(models, **how)
        self.settle()
        return change

    def served(self, name: str = "m") -> list[int]:
        return sorted(self.engine.available.get(name, {}))


def model(source: object, name: str = "m", **more: object) -> ModelConfig:
    return ModelConfig(name, source=source, **more)  # type: ignore[arg-type]


def errors(change: Change) -> list[str | None]:
    return [each.error for every in change.outcomes.values() for each in every]
