"""A network between client and server over which replies come slowly."""

import contextlib
import socket
import threading
import time

CHUNK = 64 << 10


class SlowNetwork:
    """Hands one connection on to a server's port; what the server sends passes at
    `bytes_per_second`."""

    def __init__(self, port: int, bytes_per_second: float):
        self._pause = CHUNK / bytes_per_second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = socket.socket()
        # Small, so that the server notices that nobody takes what it sends.
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * CHUNK)
        self._server.connect(("127.0.0.1", port))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError), self._listener, self._server:
            client, _ = self._listener.accept()
            with client:
                upward = threading.Thread(target=self._hand_on, args=(client,), daemon=True)
                upward.start()
                while data := self._server.recv(CHUNK):
                    client.sendall(data)
                    time.sleep(self._pause * len(data) / CHUNK)

    def _hand_on(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK):
                self._server.sendall(data)
            self._server.shutdown(socket.SHUT_WR)
