"""Callers that never pause, and remember every answer that was wrong."""

import threading
from collections import Counter
from collections.abc import Callable

import grpc

from harness.predict import PredictionClient, predict_request


class Traffic:
    """Threads that each send one request after another until they are stopped. An answer
    that `check` does not take for right is counted under its reason."""

    def __init__(self, channels: list[grpc.Channel], call: Callable[[PredictionClient], str]):
        """`call`: makes one call; what is wrong with its answer, or ""."""
        self.answered = 0
        self.wrong: Counter[str] = Counter()
        self._call = call
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        clients = [PredictionClient(channel) for channel in channels]
        self._threads = [
            threading.Thread(target=self._work, args=(client,), daemon=True) for client in clients
        ]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, client: PredictionClient) -> None:
        while not self._stopping.is_set():
            try:
                wrong = self._call(client)
            except grpc.RpcError as error:
                wrong = f"{error.code()}: {error.details()}"
            except Exception as error:  # A reply without what it should have is wrong too.
                wrong = repr(error)
            with self._lock:
                self.answered += 1
                if wrong:
                    self.wrong[wrong] += 1

    def assert_flawless(self) -> None:
        assert not any(thread.is_alive() for thread in self._threads), "a call does not end"
        assert self.answered > 0
        assert not self.wrong, dict(self.wrong)


def half_plus_two(model: str, label: str = "") -> Callable[[PredictionClient], str]:
    """Calls a half_plus_two; either of its versions' answers is right: 3 from version 1, 4
    from version 2, for an input of 2."""
    import numpy as np

    request = predict_request(model, {"x": np.array([2.0], np.float32)})
    if label:
        request.model_spec.version_label = label

    def call(client: PredictionClient) -> str:
        response = client.send(request)
        answer = response.outputs["y"].float_val[0]
        version = response.model_spec.version.value
        expected = 4.0 if version % 2 == 0 else 3.0
        return "" if answer == expected else f"version {version} answered {answer}"

    return call
