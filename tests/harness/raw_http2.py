"""An HTTP/2 connection that says what it is told to, right or wrong."""

import contextlib
import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

TIMEOUT_SECONDS = 30.0
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def frame(message: bytes, *, compressed: int = 0, length: int | None = None) -> bytes:
    """A gRPC message with its prefix, whose length need not be the message's."""
    return struct.pack(">BI", compressed, len(message) if length is None else length) + message


def grpc_headers(path: str = PREDICT, **changes: str | None) -> list[tuple[str, str]]:
    """The headers of an ordinary call; `changes` replace or, with None, remove some.

    An underscore in a name stands for a dash, `_method` for `:method`.
    """
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in changes.items():
        key = ":" + name[1:] if name.startswith("_") else name.replace("_", "-")
        if value is None:
            headers.pop(key, None)
        else:
            headers[key] = value
    return list(headers.items())


@dataclass
class Answer:
    """What came back on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    reset: int | None = None
    ended: bool = False

    @property
    def http_status(self) -> int:
        return int(self.headers[":status"])

    @property
    def grpc_status(self) -> int | None:
        """The status, from wherever it is; None where there is none."""
        status = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return None if status is None else int(status)

    @property
    def grpc_message(self) -> str:
        from urllib.parse import unquote

        message = self.trailers.get("grpc-message", self.headers.get("grpc-message", ""))
        return unquote(message)


class Connection:
    """One connection with prior knowledge of HTTP/2; close it, or use `with`."""

    def __init__(self, port: int, receive_buffer: int | None = None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        # As every HTTP/2 client does: small writes must not wait for acknowledgements.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        # Room for large replies without a window update for each.
        self.h2.increment_flow_control_window(1 << 30)
        self.flush()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def begin(self, headers: Sequence[tuple[str, str]], *, end: bool = False) -> int:
        """Sends headers on a new stream; answers its number."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers, end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Sends data as the peer's windows allow."""
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                if not self._receive({}):
                    return
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def offer(self, stream: int, data: bytes) -> Answer:
        """Sends data until all is sent or the stream has ended; what was answered by then."""
        answers = {stream: Answer()}
        while data and not answers[stream].ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                if not self._receive(answers):
                    break
                continue
            self.h2.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        return answers[stream]

    def answer(self, stream: int) -> Answer:
        """Waits for the end of a stream, however it comes."""
        answers = {stream: Answer()}
        while not answers[stream].ended:
            if not self._receive(answers):
                answers[stream].ended = True
        return answers[stream]

    def call(self, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """One request from its headers to its answer."""
        stream = self.begin(headers)
        self.send(stream, body, end=True)
        return self.answer(stream)

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            # A server that hung up may have answered before: reading tells.
            with contextlib.suppress(ConnectionError):
                self.socket.sendall(data)

    def _receive(self, answers: dict[int, Answer]) -> bool:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            return False
        if not data:
            return False
        for event in self.h2.receive_data(data):
            answer = answers.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ConnectionTerminated):
                for open_answer in answers.values():
                    open_answer.ended = True
            elif answer is not None:
                self._note(answer, event)
        self.flush()
        return True

    def _note(self, answer: Answer, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            answer.headers = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.data += event.data
            size = event.flow_controlled_length
            self.h2.acknowledge_received_data(size, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = int(event.error_code)
            answer.ended = True
        elif isinstance(event, h2.events.StreamEnded):
            answer.ended = True


def speak(port: int, data: bytes, *, hang_up: bool = True) -> bytes:
    """Sends bytes on a bare TCP connection, answers all that comes until it closes."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        received = b""
        try:
            connection.sendall(data)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(1 << 16):
                received += chunk
        except OSError as error:
            # The other side may have hung up before we were done.
            if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
                raise
        return received
