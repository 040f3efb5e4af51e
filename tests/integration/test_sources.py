"""Sources of somebody's own, and a server's models changed by the program around it."""

import threading
import time
from pathlib import Path

import pytest

import tensorwire as tw
from tensorwire.errors import ConfigError, ModelLoadError, NotFoundError

QUICK = {"port": 0, "measure_budget": 0, "poll_interval": "100ms"}


class Shelf:
    """Offers what is put on it."""

    def __init__(self, models: Path, *numbers: int) -> None:
        self.numbers = list(numbers)
        self.released = threading.Semaphore(0)
        self._models = models

    def versions(self) -> list[tw.ModelVersion]:
        return [tw.ModelVersion(number, f"shelf/{number}") for number in self.numbers]

    def fetch(self, version: tw.ModelVersion, watcher: object) -> Path:
        return self._models / "half_plus_two" / ("2" if version.number % 2 == 0 else "1")

    def release(self, version: tw.ModelVersion) -> None:
        self.released.release()


class Hanging(Shelf):
    """Answers nothing until it is let go."""

    def __init__(self, models: Path) -> None:
        super().__init__(models, 1)
        self.let_go = threading.Event()
        self.asked = threading.Event()

    def versions(self) -> list[tw.ModelVersion]:
        self.asked.set()
        self.let_go.wait(60)
        return super().versions()


def test_a_source_of_ones_own(models: Path) -> None:
    shelf = Shelf(models, 1)
    assert isinstance(shelf, tw.Source)
    with tw.Server({"m": shelf}, **QUICK) as server, tw.Client(server.address) as client:
        assert client.predict("m", [2.0])["y"] == 3.0
        shelf.numbers = [2]
        assert shelf.released.acquire(timeout=30)
        assert client.predict("m", [2.0])["y"] == 4.0
        shelf.numbers = [2, 3]
        server.add_model("m", shelf, versions="all", labels={"old": 2})
        assert client.predict("m", [2.0])["y"] == 3.0
        assert client.predict("m", [2.0], label="old")["y"] == 4.0
    with pytest.raises(ConfigError, match="a source has no name"):
        tw.Server(shelf)
    with pytest.raises(ConfigError, match="has not a Source's methods"):
        tw.Server({"m": object()})  # type: ignore[dict-item]


def test_a_source_that_hangs_holds_up_nothing(models: Path) -> None:
    hanging = Hanging(models)
    server = tw.Server({"hangs": hanging, "add": models / "add"}, **QUICK)
    starting = threading.Thread(target=server.start)
    starting.start()
    try:
        assert hanging.asked.wait(60)
        with tw.Client(server.address, timeout=20.0) as client:
            client.wait_until_ready(20.0, "add")
            assert client.predict("add", {"a": [1.0], "b": [2.0]})["sum"] == 3.0
            server.add_model("more", models / "half_plus_two")
            server.remove_model("more")
            assert client.health("hangs") == "NOT_SERVING"
    finally:
        assert server.stop(10.0) is True
        starting.join(30)
        hanging.let_go.set()
    assert not starting.is_alive()


def test_models_are_changed_by_the_program(models: Path, tmp_path: Path) -> None:
    half = models / "half_plus_two"
    with tw.Server({"m": half}, **QUICK) as server, tw.Client(server.address) as client:
        config = tw.ModelConfig("n", half, versions="all", labels={"first": 1})
        status = server.add_model("n", config)
        assert [each.version for each in status.versions] == [2, 1]
        server.set_labels("n", {"first": 1, "last": 2})
        assert client.predict("n", [2.0], label="last")["y"] == 4.0
        with pytest.raises(ConfigError, match="label to version 7 of model n"):
            server.set_labels("n", {"first": 7})
        assert client.predict("n", [2.0], label="first")["y"] == 3.0
        with pytest.raises(ModelLoadError, match="nowhere does not exist"):
            server.add_model("no", tmp_path / "nowhere")
        assert server.reload_model("m").available
        server.replace_models({"m": half})
        assert list(server.configuration) == ["m"]
        # What is left out goes meanwhile.
        end = time.monotonic() + 30
        with pytest.raises(NotFoundError):
            while time.monotonic() < end:
                client.predict("n", [2.0])
        server.remove_model("m")
        assert server.models == {}
