"""A `tensorwire serve` process, as an operator starts and stops it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING

# Starting means loading TensorFlow's library, on a machine that may be busy.
START_SECONDS = 60.0

# What a process says that went wrong in a way nobody foresaw.
CRASH = re.compile(r"Traceback \(most recent|panicked at|core dumped|Segmentation fault")


def serve_command(arguments: Sequence[str]) -> list[str]:
    """The command line of a server with these arguments."""
    return [sys.executable, "-m", "tensorwire", "serve", *arguments]


def model_arguments(models: Mapping[str, Path]) -> list[str]:
    """`--model NAME=PATH` for each."""
    return [part for name, path in models.items() for part in ("--model", f"{name}={path}")]


class ServerProcess:
    """A running server; its output is kept in files of `folder`."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._ready_file = folder / "ready.json"
        self._stdout = folder / "stdout.txt"
        self._stderr = folder / "stderr.txt"
        command = self._command(arguments)
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
            )
        self._channels: list[grpc.Channel] = []
        self._credentials = credentials
        self.address = ""
        # What it says about where it listens.
        self.places: dict[str, Any] = {}

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return serve_command([*arguments, "--port", "0", "--ready-file", str(self._ready_file)])

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def stdout(self) -> str:
        return self._stdout.read_text(errors="replace")

    def wait_line(self, part: str) -> str:
        """The first line of its output with `part` in it, once it is there: the last
        lines of a start are printed after health has turned."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            for line in self.stdout.splitlines():
                if part in line:
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {part!r} in {self.stdout!r}")

    @property
    def stderr(self) -> str:
        return self._stderr.read_text(errors="replace")

    def wait_listening(self) -> "ServerProcess":
        """Waits until it says where it listens; `address` is set then."""
        deadline = time.monotonic() + START_SECONDS
        tick = threading.Event()
        while not self._ready_file.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended by itself:\n{self.report()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the server does not listen:\n{self.report()}")
            tick.wait(0.02)
        self.places = json.loads(self._ready_file.read_text())
        self.address = self.places["address"]
        return self

    def wait_serving(self, service: str = "") -> "ServerProcess":
        """Waits until health says that this service (default: everything) serves."""
        self.wait_listening()
        stub = health_pb2_grpc.HealthStub(self.channel())
        request = health_pb2.HealthCheckRequest(service=service)
        updates = stub.Watch(request, timeout=START_SECONDS, wait_for_ready=True)
        try:
            for update in updates:
                if update.status == SERVING:
                    return self
        except grpc.RpcError as error:
            raise AssertionError(f"never {service!r} SERVING: {error}\n{self.report()}") from error
        finally:
            updates.cancel()
        raise AssertionError(f"health ended before {service!r} was SERVING\n{self.report()}")

    def channel(
        self,
        options: Sequence[tuple[str, object]] = (),
        *,
        target: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> grpc.Channel:
        """A new grpcio connection, closed when the server is stopped; over TLS if the
        server or this channel was given credentials and no other target."""
        unlimited = [
            ("grpc.max_receive_message_length", -1),
            # Else grpcio shares one connection among channels of the same options.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        ]
        options = [*unlimited, *options]
        if credentials is None and target is None:
            credentials = self._credentials
        target = self.address if target is None else target
        if credentials is None:
            channel = grpc.insecure_channel(target, options)
        else:
            channel = grpc.secure_channel(target, credentials, options)
        self._channels.append(channel)
        return channel

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit status, once it has ended by itself."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end:\n{self.report()}") from None

    def stop(self) -> None:
        """SIGTERM, as an orchestrator does, then checks that the end was clean."""
        for channel in self._channels:
            channel.close()
        early = self.process.poll()
        if early is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            finally:
                self.kill()
        assert early is None, f"the server had died:\n{self.report()}"
        assert self.process.returncode == 0, self.report()
        self.assert_no_crash()

    def kill(self) -> None:
        """Ends it whatever its state; for teardown."""
        for channel in self._channels:
            channel.close()
        if self.process.poll() is None:
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)

    def assert_no_crash(self) -> None:
        assert not CRASH.search(self.stdout + self.stderr), self.report()

    def report(self) -> str:
        """Everything there is to say when a test fails."""
        state = self.process.poll()
        return (
            f"exit status {state}\n--- stdout\n{self.stdout[-4000:]}\n"
            f"--- stderr\n{self.stderr[-4000:]}"
        )
