"""Stand-ins for what a `Server` is made of, and for who runs one."""

import json
import threading
from typing import Any

from tensorwire._core import NativeError
from tensorwire.running import Watcher
from tensorwire.server import Server


class RecordingCore:
    """An engine and a listener that write down what is done to them, in order."""

    tensorflow_version = "2.21.0"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refuse: set[str] = set()
        self.taken = False
        self.slow_to_stop = False
        self.hold: threading.Event | None = None
        self.loading = threading.Event()
        self.stopped = threading.Event()

    # The engine.

    def declare(self, name: str) -> None:
        self.calls.append(f"declare {name}")

    def load(self, name: str, version: int, path: str, options: str) -> None:
        self.loading.set()
        if self.hold is not None:
            assert self.hold.wait(30)
        if name in self.refuse:
            raise NativeError("DATA_LOSS", f"{path} is corrupt", "")
        self.calls.append(f"load {name} {version}")

    def stop_warmups(self) -> None:
        """There are none."""

    def finish_logs(self, timeout: float) -> bool:
        return True

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        self.calls.append(f"fail {name} {version} {code}")

    def start(self, name: str, version: int) -> None:
        pass

    def set_labels(self, name: str, labels: dict[str, int]) -> None:
        self.calls.append(f"labels {name} {labels}")

    def unload(self, name: str, version: int) -> bool:
        return True

    def forget(self, name: str, version: int) -> bool:
        return True

    def remove(self, name: str, still_wanted: bool) -> None:
        self.calls.append(f"remove {name}")

    def status(self, name: str) -> list[tuple[int, str, str, str]]:
        if f"load {name} 1" not in self.calls:
            raise NativeError("NOT_FOUND", "none", "")
        return [(1, "AVAILABLE", "OK", "")]

    def signatures(self, name: str, version: int | None) -> tuple[int, list[Any]]:
        return 1, [("serving_default", "", [("x", "x:0", 1, (-1,))], [], [])]

    # The listener.

    def listen(self, engine: object, options: str) -> "RecordingCore":
        if self.taken:
            raise NativeError("UNAVAILABLE", "cannot listen on 127.0.0.1:1: in use", "")
        (listener,) = json.loads(options)["listeners"]
        self.calls.append(f"listen {listener['port']}")
        return self

    @property
    def ports(self) -> list[int]:
        return [4321]

    def next_command(self, timeout: float) -> None:
        """Nobody changes the models."""
        self.stopped.wait(timeout)

    def stop(self, grace: float) -> bool:
        self.stopped.set()
        self.calls.append(f"stop {grace:g}")
        return not self.slow_to_stop


class StoppingWatcher(Watcher):
    """Stops the server as soon as it listens, or as it is ready."""

    def __init__(self, when: str) -> None:
        self.seen: list[str] = []
        self._when = when

    def _see(self, what: str, server: Server) -> None:
        self.seen.append(what)
        if what == self._when:
            server.stop()

    def listening(self, server: Server) -> None:
        self._see("listening", server)

    def ready(self, server: Server) -> None:
        self._see("ready", server)
