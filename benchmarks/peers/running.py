"""A peer's processes: pinned, awaited, asked, stopped between its turns, and ended."""

import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import grpc

from contestants.process import Process
from contestants.running import CALL_SECONDS, CHANNEL_OPTIONS
from model import Model
from paths import BENCHMARKS
from peers import tree
from peers.peer import Peer, Place
from trouble import BenchmarkError

# A cluster of processes on one core takes a while.
START_SECONDS = 120.0
POLL_SECONDS = 0.25
LAUNCHER = BENCHMARKS / "peers" / "launcher.py"
# A proxy from the environment must not stand between a client and its own machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class RunningPeer:
    """A peer from `with` to its end, on one core. Inside the `with` it has answered
    rightly once."""

    def __init__(self, peer: Peer, python: Path, model: Model, core: int) -> None:
        self.peer = peer
        peer.work.mkdir(parents=True, exist_ok=True)
        self.port, spare = _free_ports(2)
        start = peer.start(Place(python, model.folder, self.port, spare, peer.work))
        self.command = ["taskset", "-c", str(core), *start.command]
        place = str(start.folder or peer.work)
        launched = ["taskset", "-c", str(core), sys.executable, str(LAUNCHER), place]
        self._core = core
        self._launch = [*launched, *start.command]
        # As if its virtual environment were activated, and nothing else were there.
        isolated = {
            "VIRTUAL_ENV": str(python.parent.parent),
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": "",
        }
        self._environment = {**isolated, **start.environment}
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The launcher's: the root of all that the peer consists of."""
        if self._process is None:
            raise BenchmarkError(f"{self.peer.key} is not running.")
        return self._process.pid

    def __enter__(self) -> "RunningPeer":
        self._process = Process(self.peer.key, self._launch, self._environment)
        try:
            self._await_right_answer(self._process.turns(START_SECONDS, POLL_SECONDS))
            strays = tree.strays(self.processes(), self._core)
            if strays:
                raise BenchmarkError(
                    f"{self.peer.key}: {len(strays)} of its processes left core {self._core}."
                )
        except BaseException:
            self._process.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            tree.send(self.processes(), signal.SIGCONT)
            self._process.end()

    def processes(self) -> list[int]:
        """All but the launcher."""
        return tree.members(self.pid)[1:]

    def verify(self) -> int:
        """Asks once; raises where the answer is wrong. The size of the reply's message,
        or of its body, in bytes."""
        try:
            reply = self._ask()
            wrong = self.peer.exchange.wrong(reply)
        except grpc.RpcError as error:
            wrong = f"grpc status {error.code().name}: {error.details()}"
        except urllib.error.HTTPError as error:
            wrong = f"HTTP status {error.code}: {error.read(300)!r}"
        except (OSError, ValueError, BenchmarkError) as error:
            wrong = str(error)
        if wrong is not None:
            raise BenchmarkError(f"{self.peer.exchange.title} answers wrongly: {wrong}")
        return len(reply)

    def _await_right_answer(self, turns: Iterator[None]) -> None:
        """A server can listen before it has its model, so until then wrong answers are
        forgiven; the last one is in the message if none comes right in time."""
        last = ""
        try:
            for _ in turns:
                try:
                    self.verify()
                    return
                except BenchmarkError as error:
                    last = str(error)
        except BenchmarkError as error:
            raise BenchmarkError(f"{error} ({last})") from error

    def _ask(self) -> bytes:
        exchange = self.peer.exchange
        address = f"127.0.0.1:{self.port}"
        if self.peer.http1:
            request = urllib.request.Request(
                f"http://{address}{exchange.method}",
                exchange.request,
                {"content-type": "application/json"},
            )
            with _OPENER.open(request, timeout=CALL_SECONDS) as reply:
                return bytes(reply.read())
        with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
            call = channel.unary_unary(exchange.method)
            return bytes(call(exchange.request, timeout=CALL_SECONDS))


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now: peers can't all choose one and say which."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
