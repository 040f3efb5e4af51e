"""A `tensorwire model-server` process: TensorFlow Serving's command line."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from harness.server_process import START_SECONDS, ServerProcess

RUNNING = "Running gRPC ModelServer at"


def model_server_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "tensorwire", "model-server", *arguments]


def free_port() -> int:
    """A port that nobody had a moment ago: TensorFlow Serving's flags have no other way."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


class ModelServer(ServerProcess):
    """One on a port of its own, unless `--port` is among its flags; ready when its log says so."""

    def __init__(
        self,
        flags: Sequence[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ):
        given = re.search(r"(?m)^--port=(\d+)$", "\n".join(flags))
        self._port = int(given[1]) if given else free_port()
        self._given = given is not None
        super().__init__(flags, folder, environment=environment)
        self.address = f"127.0.0.1:{self._port}"

    def _command(self, flags: Sequence[str]) -> list[str]:
        port = [] if self._given else [f"--port={self._port}"]
        return model_server_command([*port, *flags])

    def wait_listening(self) -> "ModelServer":
        """Waits until it says that it serves: models are loaded then."""
        return self.wait_log(RUNNING)

    def wait_log(self, part: str) -> "ModelServer":
        """Waits until its log has a line with `part` in it."""
        end = time.monotonic() + START_SECONDS
        while part not in self.stderr:
            assert self.process.poll() is None, self.report()
            assert time.monotonic() < end, self.report()
            time.sleep(0.02)
        return self

    def is_listening(self) -> bool:
        """Whether somebody listens on its port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def secure_channel(self, credentials: grpc.ChannelCredentials) -> grpc.Channel:
        channel = grpc.secure_channel(f"localhost:{self._port}", credentials)
        self._channels.append(channel)
        return channel


def failed_start(*flags: object) -> str:
    """The last line on standard output of a server that does not start."""
    done = subprocess.run(
        model_server_command([str(flag) for flag in flags]),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert done.returncode == 255, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()[-1]
