"""A model's folder whose versions come and go: copies of half_plus_two, whose odd versions
answer as its version 1 does and whose even ones as its version 2."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from harness.predict import TIMEOUT_SECONDS, PredictionClient

Status = get_model_status_pb2.ModelVersionStatus

# Far longer than two polls take, on a machine that may be busy.
CHANGE_SECONDS = 60.0


class Versions:
    def __init__(self, built: Path, folder: Path):
        self._built = built / "half_plus_two"
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def source(self, number: int) -> Path:
        return self._built / ("2" if number % 2 == 0 else "1")

    def add(self, *numbers: int) -> "Versions":
        """Puts versions in place, whole, as a careful operator does."""
        for number in numbers:
            partial = self.folder / f".{number}"
            shutil.copytree(self.source(number), partial)
            partial.rename(self.folder / str(number))
        return self

    def drop(self, *numbers: int) -> "Versions":
        for number in numbers:
            gone = self.folder / f".gone-{number}"
            (self.folder / str(number)).rename(gone)
            shutil.rmtree(gone)
        return self


def until(what: Callable[[], object]) -> None:
    """Waits until it is true; `what` asks the server, which takes its time."""
    end = time.monotonic() + CHANGE_SECONDS
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def states(client: PredictionClient, model: str) -> dict[int, int]:
    """The states of a model's versions, without those that have ended."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model
    reply = client.model.GetModelStatus(request, timeout=TIMEOUT_SECONDS)
    return {v.version: v.state for v in reply.model_version_status if v.state != Status.END}


def available(client: PredictionClient, model: str) -> list[int]:
    found = states(client, model)
    return sorted(number for number, state in found.items() if state == Status.AVAILABLE)


def until_available(client: PredictionClient, model: str, *numbers: int) -> None:
    """Waits until these versions answer, and no others."""
    wanted = dict.fromkeys(numbers, Status.AVAILABLE)
    until(lambda: states(client, model) == wanted)
