import logging
import threading
from pathlib import Path

import pytest

from tensorwire._core import NativeError
from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.policy import Latest
from tensorwire.repository.reconciler import Reconciler


class RecordingEngine:
    """Loads everything but the names it is told to refuse or to hold."""

    def __init__(self, refuse: set[str] = frozenset(), hold: set[str] = frozenset()) -> None:
        self.loaded: list[tuple[str, int, str]] = []
        self.options: list[str] = []
        self.failed: list[tuple[str, int, str, str]] = []
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self._refuse, self._hold = refuse, hold

    def load(self, name: str, version: int, path: str, options: str) -> None:
        if name in self._hold:
            self.entered.release()
            assert self.release.wait(30)
        if name in self._refuse:
            raise NativeError("DATA_LOSS", f"{path} is corrupt", "")
        self.loaded.append((name, version, path))
        self.options.append(options)

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        self.failed.append((name, version, code, message))


class CannedExporter:
    """Answers with one directory, or refuses."""

    def __init__(self, made: Path | None) -> None:
        self._made = made
        self.cancelled = False

    def export(self, path: Path) -> Path:
        if self._made is None:
            raise ModelLoadError(f"{path} can't be exported")
        return self._made

    def cancel(self) -> None:
        self.cancelled = True


def no_options(_name: str, _folder: Path) -> str:
    return "{}"


def model(folder: Path, name: str, *versions: int) -> ModelConfig:
    for version in versions:
        path = folder / name / str(version)
        path.mkdir(parents=True)
        (path / "saved_model.pb").touch()
    return ModelConfig(name, folder / name)


def test_the_highest_version_is_loaded(tmp_path: Path) -> None:
    engine = RecordingEngine()
    outcomes = Reconciler(engine, CannedExporter(None), no_options).load(
        [model(tmp_path, "a", 1, 12)]
    )
    assert engine.loaded == [("a", 12, str(tmp_path / "a" / "12"))]
    assert [(each.version, each.error) for each in outcomes] == [(12, None)]


def test_a_policy_may_want_several(tmp_path: Path) -> None:
    engine = RecordingEngine()
    reconciler = Reconciler(engine, CannedExporter(None), no_options, Latest(2))
    outcomes = reconciler.load([model(tmp_path, "a", 1, 2, 3)])
    assert [each.version for each in outcomes] == [3, 2]


def test_failures_are_recorded_and_the_others_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = RecordingEngine(refuse={"corrupt"})
    models = [
        ModelConfig("gone", tmp_path / "gone"),
        model(tmp_path, "corrupt", 4),
        model(tmp_path, "good", 1),
    ]
    with caplog.at_level(logging.ERROR, "tensorwire.repository"):
        outcomes = Reconciler(engine, CannedExporter(None), no_options).load(models)
    assert [each.model.name for each in outcomes] == ["gone", "corrupt", "good"]
    assert [each.error for each in outcomes] == [
        f"{tmp_path / 'gone'} does not exist",
        f"{tmp_path / 'corrupt' / '4'} is corrupt",
        None,
    ]
    # The engine has set the state of what it refused itself.
    assert engine.failed == [("gone", 1, "NOT_FOUND", f"{tmp_path / 'gone'} does not exist")]
    assert "model corrupt version 4 can't be served" in caplog.text


def test_a_slow_model_holds_up_no_other(tmp_path: Path) -> None:
    names = [f"m{index}" for index in range(8)]
    engine = RecordingEngine(hold={"m0", "m1"})
    models = [model(tmp_path, name, 1) for name in names]
    reconciler = Reconciler(engine, CannedExporter(None), no_options)
    loading = threading.Thread(target=reconciler.load, args=(models,))
    loading.start()
    for _ in range(2):
        assert engine.entered.acquire(timeout=30)
    deadline = threading.Event()
    for _ in range(3000):
        if len(engine.loaded) == 6:
            break
        deadline.wait(0.01)
    assert {name for name, _, _ in engine.loaded} == set(names[2:])
    assert loading.is_alive()
    engine.release.set()
    loading.join(30)
    assert len(engine.loaded) == 8


def test_a_keras_file_is_exported_first(tmp_path: Path) -> None:
    file = tmp_path / "net.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    engine = RecordingEngine()
    Reconciler(engine, CannedExporter(tmp_path / "made"), no_options).load(
        [ModelConfig("net", file)]
    )
    assert engine.loaded == [("net", 1, str(tmp_path / "made"))]

    refused = Reconciler(engine, CannedExporter(None), no_options).load([ModelConfig("net", file)])
    assert refused[0].error == f"{file} can't be exported"
    assert engine.failed == [("net", 1, "INVALID_ARGUMENT", f"{file} can't be exported")]


def test_cancel_ends_the_wait_but_says_what_still_loads(tmp_path: Path) -> None:
    engine = RecordingEngine(hold={"m0", "m1", "m2", "m3"})
    exporter = CannedExporter(None)
    reconciler = Reconciler(engine, exporter, no_options)
    models = [model(tmp_path, f"m{index}", 1) for index in range(4)]
    done: list[object] = []
    loading = threading.Thread(target=lambda: done.append(reconciler.load(models)))
    loading.start()
    assert engine.entered.acquire(timeout=30)
    assert reconciler.cancel(0.0) is False
    loading.join(30)
    assert done == [[]]
    assert exporter.cancelled
    engine.release.set()
    assert reconciler.cancel(30.0) is True


def test_each_version_is_loaded_with_its_options(tmp_path: Path) -> None:
    def options(name: str, folder: Path) -> str:
        if name == "bad":
            raise ConfigError(f"{folder}/batching_params.pbtxt, line 1: no")
        return f"{name} {folder.name}"

    engine = RecordingEngine()
    models = [model(tmp_path, "good", 2), model(tmp_path, "bad", 1)]
    good, bad = Reconciler(engine, CannedExporter(None), options).load(models)
    assert (good.error, engine.options) == (None, ["good 2"])
    assert bad.error is not None
    assert "batching_params.pbtxt, line 1: no" in bad.error
    assert engine.failed[0][:3] == ("bad", 1, "INVALID_ARGUMENT")
