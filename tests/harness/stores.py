"""Servers that hold models: an S3 server process, one of Google's kind, and an HTTP server of
files; and what goes wrong between them and who reads from them.
"""

import contextlib
import http.client
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3

START_SECONDS = 60.0
S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
    # Nothing of the machine's own.
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """A moto_server process."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "s3.txt"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.port = int(_wait_for(self._log, rb"http://127\.0\.0\.1:(\d+)", self._process))
        except BaseException:
            self.stop()
            raise
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self) -> object:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=S3_ENVIRONMENT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=S3_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)


def forget_s3_connections() -> None:
    """fsspec keeps them, with the environment that they were made in."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def _wait_for(log: Path, pattern: bytes, process: subprocess.Popen) -> bytes:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        match = re.search(pattern, log.read_bytes())
        if match:
            return match[1]
        time.sleep(0.02)
    raise AssertionError(f"the server does not listen: {log.read_text()}")


@dataclass
class Asked:
    """A request that a server got."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass
class Reply:
    """What is about to be sent; changing it changes that."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""

    pause: float = 0.0
    """Seconds before each piece of the body."""

    piece: int = 64 << 10


Meddle = Callable[[Asked, Reply], None]


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Readers that go away are part of the tests."""


@dataclass
class _Loopback:
    """An HTTP server of this process; `meddle` may change each reply."""

    meddle: Meddle | None = None
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: object) -> None:
                """To nowhere."""

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                asked = Asked(
                    self.command, self.path, {k.lower(): v for k, v in self.headers.items()}
                )
                outer.asked.append(asked)
                reply = outer.reply(asked, body)
                if outer.meddle is not None:
                    outer.meddle(asked, reply)
                self._send(reply)

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "HEAD":
                    return
                body = reply.body if reply.cut_after is None else reply.body[: reply.cut_after]
                for start in range(0, len(body), reply.piece):
                    if reply.pause:
                        time.sleep(reply.pause)
                    self.wfile.write(body[start : start + reply.piece])
                self.wfile.flush()
                if reply.cut_after is not None or "Content-Length" not in reply.headers:
                    self.close_connection = True

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def reply(self, asked: Asked, body: bytes) -> Reply:
        raise NotImplementedError

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@dataclass
class FileServer(_Loopback):
    """Serves bytes by their paths, as a web server of files does."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etags: bool = True
    heads: bool = True

    def reply(self, asked: Asked, body: bytes) -> Reply:
        content = self.files.get(asked.path.partition("?")[0])
        if content is None:
            return Reply(404, {"Content-Length": "0"}, b"")
        if asked.method == "HEAD" and not self.heads:
            return Reply(405, {"Content-Length": "0"}, b"")
        headers = {"Content-Length": str(len(content))}
        etag = f'"{hash(content):x}"'
        if self.etags:
            headers["ETag"] = etag
        wanted = re.fullmatch(r"bytes=(\d+)-", asked.range or "")
        same = asked.headers.get("if-range", etag) == etag
        if not (self.ranges and wanted and same):
            return Reply(200, headers, content)
        start = int(wanted[1])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers["Content-Length"] = str(len(content) - start)
        return Reply(206, headers, content[start:])


@dataclass
class Between(_Loopback):
    """Hands requests on to another server, and its replies back."""

    port: int = 0

    def reply(self, asked: Asked, body: bytes) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(asked.method, asked.path, body or None, asked.headers)
            answer = connection.getresponse()
            content = answer.read()
        unwanted = ("connection", "transfer-encoding", "date", "server", "content-length")
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in unwanted}
        length = answer.getheader("Content-Length")
        headers["Content-Length"] = str(len(content)) if asked.method != "HEAD" else length or "0"
        return Reply(answer.status, headers, content)


@contextlib.contextmanager
def running(server: _Loopback) -> Iterator[_Loopback]:
    try:
        yield server
    finally:
        server.stop()
