"""The end of a `Server`, and of `run`."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server_doubles import RecordingCore, StoppingWatcher
from tensorwire.errors import ConfigError
from tensorwire.repository.reconciler import Reconciler
from tensorwire.running import run
from tensorwire.server import Server


def test_stop_tells_whether_anything_was_cut_off(
    core: RecordingCore, models: dict[str, Path]
) -> None:
    server = Server(models, grace="2s").start()
    core.slow_to_stop = True
    assert server.stop() is False
    core.slow_to_stop = False
    assert server.stop("500ms") is False
    assert core.calls[-1] == "stop 2"
    with pytest.raises(ConfigError, match="grace can't be 'soon'"):
        server.stop("soon")


@pytest.mark.parametrize(
    ("when", "seen"), [("listening", ["listening"]), ("ready", ["listening", "ready"])]
)
def test_run_lasts_until_it_is_stopped(
    core: RecordingCore, models: dict[str, Path], when: str, seen: list[str]
) -> None:
    watcher = StoppingWatcher(when)
    assert run(Server(models), watcher) is True
    assert watcher.seen == seen


def test_a_load_that_does_not_end_is_told(core: RecordingCore, models: dict[str, Path]) -> None:
    core.hold = threading.Event()
    server = Server(models, grace=0)
    starting = threading.Thread(target=server.start)
    starting.start()
    assert core.loading.wait(30)
    assert server.stop() is False
    starting.join(30)
    core.hold.set()


@pytest.fixture
def loading(core: RecordingCore, models: dict[str, Path]) -> Iterator[Server]:
    """A server with a load under way that does not end."""
    core.hold = threading.Event()
    server = Server(models["a"])
    starting = threading.Thread(target=server.start)
    starting.start()
    assert core.loading.wait(30)
    yield server
    core.hold.set()
    starting.join(30)


def test_a_second_stop_waits_for_no_second_grace(core: RecordingCore, loading: Server) -> None:
    """As that of `run`, whose first one was a signal's."""
    began = time.monotonic()
    assert loading.stop(0.2) is False
    assert loading.stop(30) is False
    assert time.monotonic() - began < 10
    assert core.calls.count("stop 30") == 0


def test_stops_at_once_share_the_sooner_end(core: RecordingCore, loading: Server) -> None:
    began = time.monotonic()
    first = threading.Thread(target=loading.stop, args=(0.5,))
    first.start()
    while not loading.stopping:
        time.sleep(0.001)
    assert loading.stop(30) is False
    assert time.monotonic() - began < 10
    first.join(30)


def test_a_second_stop_may_end_it_sooner(core: RecordingCore, loading: Server) -> None:
    first = threading.Thread(target=loading.stop, args=(30,))
    first.start()
    while not loading.stopping:
        time.sleep(0.001)
    began = time.monotonic()
    assert loading.stop(0) is False
    assert time.monotonic() - began < 10
    assert loading.wait(0)
    assert core.hold is not None
    core.hold.set()
    first.join(30)


def test_run_tells_what_was_cut_off(
    core: RecordingCore, models: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    core.slow_to_stop = True
    assert run(Server(models, grace="2s"), StoppingWatcher("ready")) is False
    assert caplog.messages[-1] == "what was not finished within the grace of 2 s was cut off"


def test_a_stop_while_the_models_begin_to_load(
    core: RecordingCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A model of a file is waited for.
    file = tmp_path / "models.config"
    entry = f'name: "m" base_path: "{tmp_path}/nowhere" model_platform: "tensorflow"'
    file.write_text(f"model_config_list {{ config {{ {entry} }} }}")
    server = Server(model_config_file=file, port=0, listen_when="loaded")
    begin = Reconciler.start

    def start(reconciler: Reconciler) -> Reconciler:
        # As early as there is something to stop, but nobody knows of it.
        server.stop(0)
        return begin(reconciler)

    monkeypatch.setattr(Reconciler, "start", start)
    starting = threading.Thread(target=server.start, daemon=True)
    starting.start()
    starting.join(30)
    assert not starting.is_alive()
