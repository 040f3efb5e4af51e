"""The core's engine under the control plane's calls: versions come and go while others
serve."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tensorwire import _core
from tensorwire.config import load_config
from tensorwire.model import open_engine

Load = Callable[..., _core.Retired | None]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[_core.Engine]:
    yield open_engine(load_config({"measure_cache": str(tmp_path / "measures")}, {}).engine)


@pytest.fixture
def load(engine: _core.Engine, models: Path) -> Load:
    config = load_config({}, {})

    def load(name: str, version: int, folder: str = "half_plus_two/1") -> _core.Retired | None:
        path = models / folder
        options = config.version_options(name, path)
        return engine.load(name, version, str(path), options)

    return load


def states(engine: _core.Engine, name: str) -> list[tuple[int, str]]:
    return [(version, state) for version, state, _, _ in engine.status(name)]


def predict(engine: _core.Engine, name: str, version: int | None = None) -> tuple[int, float]:
    values = np.array([4.0], dtype=np.float32)
    tensor = ("x", 1, (1,), values.view(np.uint8))
    used, [(_, _, _, output)] = engine.predict(name, version, "", [tensor], [], 20.0)
    assert not isinstance(output, list)
    return used, float(output.view(np.float32)[0])


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(_core.NativeError) as raised:
        action()
    return str(raised.value.args[0])


def test_a_version_through_its_states(engine: _core.Engine, load: Load) -> None:
    engine.declare("m")
    engine.start("m", 1)
    assert states(engine, "m") == [(1, "START")]
    load("m", 1)
    assert states(engine, "m") == [(1, "AVAILABLE")]
    assert engine.forget("m", 1) is False
    assert engine.unload("m", 1) is True
    assert engine.unload("m", 1) is False
    assert states(engine, "m") == [(1, "END")]
    engine.start("m", 2)
    assert engine.unload("m", 2) is True
    assert states(engine, "m") == [(2, "END"), (1, "END")]
    assert engine.forget("m", 1) is True
    assert states(engine, "m") == [(2, "END")]
    removed = engine.remove("m", False)
    assert removed is not None
    removed.free()
    assert engine.remove("m", False) is None
    assert engine.models() == []
    assert refused(lambda: engine.status("m")) == "NOT_FOUND"


def test_a_version_is_replaced_only_by_one_that_works(
    engine: _core.Engine, load: Load, models: Path
) -> None:
    assert load("m", 1) is None
    assert predict(engine, "m", 1) == (1, 4.0)
    assert refused(lambda: load("m", 1, "corrupt/1")) == "DATA_LOSS"
    assert states(engine, "m") == [(1, "AVAILABLE")]
    assert predict(engine, "m", 1) == (1, 4.0)
    engine.fail("m", 1, "NOT_FOUND", "gone")
    assert states(engine, "m") == [(1, "AVAILABLE")]
    replaced = load("m", 1, "half_plus_two/2")
    assert predict(engine, "m", 1) == (1, 5.0)
    assert replaced is not None
    for _ in range(2):
        replaced.free()


def test_labels_are_set_all_at_once(engine: _core.Engine, load: Load) -> None:
    assert refused(lambda: engine.set_labels("m", {"stable": 1})) == "NOT_FOUND"
    load("m", 1)
    engine.set_labels("m", {"stable": 1, "canary": 2})
    engine.set_labels("m", {})


def test_a_version_changes_under_calls_without_a_failure(engine: _core.Engine, load: Load) -> None:
    load("m", 1)
    stop = threading.Event()
    failures: list[BaseException] = []
    answered = 0

    def call() -> None:
        nonlocal answered
        while not stop.is_set():
            try:
                assert predict(engine, "m")[1] in (4.0, 5.0)
                answered += 1
            except BaseException as error:
                failures.append(error)
                return

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    for version in range(2, 12):
        load("m", version, f"half_plus_two/{1 + version % 2}")
        assert engine.unload("m", version - 1) is True
        load("m", version, f"half_plus_two/{2 - version % 2}")
    stop.set()
    for caller in callers:
        caller.join(20)
    assert failures == []
    assert answered > 0


def test_threads_that_serve_never_stand_back(engine: _core.Engine, load: Load) -> None:
    """What loads while others serve is of low priority, and threads inherit that."""
    for version in range(1, 4):
        load("m", version, "conv/1")
    load("n", 1, "mlp/1")
    threads = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        threads[(task / "comm").read_text().strip()] = int(fields[16])
    lowered = {name for name, nice in threads.items() if nice != os.nice(0)}
    assert lowered <= {"tensorwire-load", "tensorwire-meas"}


def test_versions_loaded_at_once_are_measured_in_the_end(engine: _core.Engine, load: Load) -> None:
    names = [f"m{index}" for index in range(8)]
    loads = [threading.Thread(target=load, args=(name, 1, "mlp/1")) for name in names]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join(60)
    assert [engine.status(name)[0][1] for name in names] == ["AVAILABLE"] * len(names)
    tick = threading.Event()
    for _ in range(600):
        measured = [bool(engine.costs(name, None)[1][0][4]) for name in names]
        if all(measured):
            break
        tick.wait(0.1)
    assert all(measured)


def test_one_alone_is_measured_before_it_serves(engine: _core.Engine, load: Load) -> None:
    load("m", 1, "mlp/1")
    _, costs = engine.costs("m", 1)
    assert costs[0][4]


def test_an_engine_that_goes_away_ends_its_measuring(models: Path, load: Load) -> None:
    engine = open_engine(load_config({"measure_cache": "off"}, {}).engine)
    options = load_config({}, {}).version_options("m", models)
    path = str(models / "mlp" / "1")
    loads = [
        threading.Thread(target=engine.load, args=(f"m{index}", 1, path, options))
        for index in range(16)
    ]
    for thread in loads:
        thread.start()
    for thread in loads:
        thread.join(60)
    del engine, thread, loads
    names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert "tensorwire-meas" not in names


def test_options_are_all_given(engine: _core.Engine, models: Path) -> None:
    path = str(models / "mlp" / "1")
    options = json.dumps({"batching": {}})
    assert refused(lambda: engine.load("m", 1, path, options)) == "INVALID_ARGUMENT"
