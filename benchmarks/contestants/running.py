"""A server process: pinned, awaited, asked, and ended by its id."""

import json
import urllib.request
from collections.abc import Iterator
from types import TracebackType

import grpc

from contestants.contestant import Contestant, Exchange
from contestants.process import Process
from contract import HEALTH_CHECK, HEALTH_WATCH, SERVING
from trouble import BenchmarkError

START_SECONDS = 120.0
CALL_SECONDS = 30.0
# How often a client that waits looks again.
POLL_SECONDS = 0.002
# A proxy from the environment must not stand between a client and its own machine.
CHANNEL_OPTIONS = (("grpc.enable_http_proxy", 0),)
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Running:
    """A contestant's process from `with` to its end, on one core or (`None`) on all.

    Inside the `with` it listens, and if it has gRPC health, it is healthy.
    """

    def __init__(self, contestant: Contestant, core: int | None, wait: bool = True) -> None:
        """`wait`: until it is healthy, if it has gRPC health."""
        self.contestant = contestant
        self._wait = wait
        self.port = 0
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        self.command = [*pinned, *contestant.command]
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The server's process id: taskset becomes the server."""
        return self._started().pid

    def __enter__(self) -> "Running":
        if self.contestant.ready_file is not None:
            self.contestant.ready_file.unlink(missing_ok=True)
        self._process = Process(
            self.contestant.key, self.command, dict(self.contestant.environment)
        )
        try:
            for _ in self._until_ready():
                self.port = self._told_port()
                if self.port:
                    break
            if self.contestant.health and self._wait:
                self.wait_for_health()
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
        self._started().end()

    def verify(self, exchange: Exchange) -> int:
        """Asks once: the status is good and the value right. Answers the size of the
        reply's message in bytes."""
        try:
            reply = self._ask(exchange)
            wrong = exchange.wrong(reply)
        except grpc.RpcError as error:
            wrong = f"grpc status {error.code().name}: {error.details()}"
        except (BenchmarkError, OSError, ValueError) as error:
            wrong = str(error)
        if wrong is not None:
            raise BenchmarkError(f"{exchange.title}: {exchange.method} is wrong: {wrong}")
        return len(reply)

    def _ask(self, exchange: Exchange) -> bytes:
        if not exchange.http1:
            with self._channel() as channel:
                return _call(channel, exchange.method, exchange.request)
        url = f"http://127.0.0.1:{self.port}{exchange.method}"
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(url, exchange.request, headers)
        with _OPENER.open(request, timeout=CALL_SECONDS) as reply:
            return bytes(reply.read())

    def first_reply(self, exchange: Exchange) -> bytes:
        """Asks until there is a reply: a server can listen before it has its model."""
        with self._channel() as channel:
            for _ in self._until_ready():
                try:
                    return _call(channel, exchange.method, exchange.request)
                except grpc.RpcError:
                    continue
        raise BenchmarkError(f"{self.contestant.key} gave no reply.")

    def wait_for_health(self) -> None:
        """Until gRPC health says that it serves."""
        with self._channel() as channel:
            for _ in self._until_ready():
                try:
                    if _call(channel, HEALTH_CHECK, b"") == SERVING:
                        return
                except grpc.RpcError:
                    continue

    def watch_health(self) -> None:
        """The same by one call that is told of it: asking again and again takes a part of the
        server's cores, which matters where a start keeps all of them busy."""
        with self._channel() as channel:
            watch = channel.unary_stream(HEALTH_WATCH)
            try:
                for state in watch(b"", timeout=START_SECONDS):
                    if bytes(state) == SERVING:
                        return
            except grpc.RpcError as error:
                raise BenchmarkError(f"{self.contestant.key} tells no health: {error}") from None
        raise BenchmarkError(f"{self.contestant.key} stopped telling its health.")

    def _until_ready(self) -> Iterator[None]:
        """A turn every two milliseconds, while the process lives and has time."""
        return self._started().turns(START_SECONDS, POLL_SECONDS)

    def _told_port(self) -> int:
        """The port, or 0 while it is not told. It is told by a whole line or by whole
        JSON; half of either is not read."""
        ready_file = self.contestant.ready_file
        try:
            if ready_file is None:
                return int(self._started().first_line() or 0)
            return int(json.loads(ready_file.read_text())["port"])
        except (OSError, ValueError, KeyError):
            return 0

    def _channel(self) -> grpc.Channel:
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=CHANNEL_OPTIONS)

    def _started(self) -> Process:
        if self._process is None:
            raise BenchmarkError(f"{self.contestant.key} is not running.")
        return self._process


def _call(channel: grpc.Channel, method: str, request: bytes) -> bytes:
    """One unary call, bytes in and bytes out."""
    return bytes(channel.unary_unary(method)(request, timeout=CALL_SECONDS))
