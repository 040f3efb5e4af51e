"""Answers callers that change the models over the network, or want to see which there are:
`tensorflow.serving.ModelService/HandleReloadConfigRequest` and `tensorwire.ModelRepository`.
Such changes last until the file that lists the models changes, if there is one.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tensorwire.errors import (
    InvalidArgumentError,
    ModelLoadError,
    TensorWireError,
    UnavailableError,
    UnknownError,
)
from tensorwire.messages import message_type, new_message
from tensorwire.signature import ModelStatus

from .change import Change, describe_failures
from .model_config import ModelConfig
from .repository import Repository
from .server_config import added_model, config_of, message_of, models_of
from .workers import Job, Workers

_log = logging.getLogger("tensorwire.repository")

RELOAD_CONFIG = "tensorflow.serving.ModelService/HandleReloadConfigRequest"
SERVICE = "tensorwire.ModelRepository"

TAKE_SECONDS = 1.0
"""How long one wait for a command is."""

THREADS = 4
"""They begin commands and answer them. None waits for what a command has begun, which may
take as long as a store does: as many such commands as threads would hold up all others."""

MOST_UNDER_WAY = 1024
"""Commands that are begun and not answered: each keeps its request in memory, and goes on
when its caller has gone."""

STOPPING = "the server is stopping"


class Command(Protocol):
    """The part of `_core.Command` that is used here."""

    @property
    def method(self) -> str:
        """Full name."""

    @property
    def is_json(self) -> bool:
        """Request and reply are JSON."""

    @property
    def payload(self) -> bytes:
        """The request."""

    def answer(self, payload: bytes) -> None:
        """Answers with the reply."""

    def fail(self, code: str, message: str) -> None:
        """Answers with an error."""


@dataclass(frozen=True)
class Begun:
    """What a command has begun."""

    fill: Callable[[Any], None]
    """Fills the reply, or raises what is answered."""

    change: Change | None = None
    """What the reply waits for; None: nothing."""

    no_wait: bool = False
    """The reply waits only until the change is under way or refused."""


class Control:
    """Takes commands and has them done, as many side by side as there are."""

    def __init__(
        self,
        take: Callable[[float], Command | None],
        repository: Repository,
        status: Callable[[str], ModelStatus],
    ) -> None:
        """`take`: waits so many seconds for the next command; `status`: a model's states."""
        self._take = take
        self._repository = repository
        self._status = status
        self._stopping = threading.Event()
        self._workers = Workers("control", THREADS)
        self._lock = threading.Lock()
        self._under_way = 0
        self._methods: Mapping[str, tuple[str, str, Callable[[Any], Begun]]] = {
            RELOAD_CONFIG: (
                "tensorflow.serving.ReloadConfigRequest",
                "tensorflow.serving.ReloadConfigResponse",
                self._reload_config,
            ),
            **dict(
                self._own(name, begin)
                for name, begin in (
                    ("ListModels", self._list),
                    ("GetConfig", self._get_config),
                    ("LoadModel", self._load),
                    ("UnloadModel", self._unload),
                    ("ReloadModel", self._reload),
                )
            ),
        }

    @staticmethod
    def _own(name: str, begin: Callable[[Any], Begun]) -> tuple[str, Any]:
        request, reply = f"tensorwire.{name}Request", f"tensorwire.{name}Response"
        return f"{SERVICE}/{name}", (request, reply, begin)

    def start(self) -> None:
        """Begins to take commands."""
        threading.Thread(target=self._work, name="tensorwire-control", daemon=True).start()

    def stop(self) -> None:
        """Takes no more."""
        self._stopping.set()
        self._workers.stop()

    def _work(self) -> None:
        while not self._stopping.is_set():
            command = self._take(TAKE_SECONDS)
            if command is None:
                continue
            try:
                self.hand_out(command)
            except Exception:  # A system without room for a thread has some again later.
                _log.exception("%s could not be begun", command.method)

    def hand_out(self, command: Command) -> None:
        """Has a command done."""
        if command.method not in self._methods:
            command.fail("UNIMPLEMENTED", f"there is no method {command.method}")
            return
        with self._lock:
            is_full = self._under_way >= MOST_UNDER_WAY
            self._under_way += not is_full
        if is_full:
            command.fail(
                "RESOURCE_EXHAUSTED",
                f"{MOST_UNDER_WAY} requests to change or list the models are under way; try "
                "again when some of them are done",
            )
            return
        self._run(command, lambda: self._begin(command))

    def _begin(self, command: Command) -> None:
        request_type, _, begin = self._methods[command.method]
        with self._failing(command):
            begun = begin(_parsed(command, new_message(request_type)))
            change = begun.change
            if change is None:
                self._answer(command, begun)
            elif begun.no_wait:
                change.when_begun(lambda: self._go_on(command, begun))
            else:
                change.when_ended(lambda: self._go_on(command, begun))

    def _go_on(self, command: Command, begun: Begun) -> None:
        """In whatever thread the change has come so far, which this must not hold up."""
        if self._stopping.is_set():
            self._end(lambda: command.fail("UNAVAILABLE", STOPPING))
            return
        self._run(command, lambda: self._finish(command, begun))

    def _run(self, command: Command, job: Job) -> None:
        try:
            self._workers.run(job)
        except RuntimeError as error:
            text = f"there is no thread for it: {error}"
            self._end(lambda: command.fail("RESOURCE_EXHAUSTED", text))

    def _finish(self, command: Command, begun: Begun) -> None:
        with self._failing(command):
            self._answer(command, begun)

    def _answer(self, command: Command, begun: Begun) -> None:
        change = begun.change
        if change is not None and change.refused is not None:
            raise change.refused
        if change is not None and not (change.complete or begun.no_wait):
            raise UnavailableError(STOPPING)
        reply = new_message(self._methods[command.method][1])
        begun.fill(reply)
        answer = _written(reply, as_json=command.is_json)
        self._end(lambda: command.answer(answer))

    @contextlib.contextmanager
    def _failing(self, command: Command) -> Iterator[None]:
        """Answers with what is raised."""
        try:
            yield
            return
        except TensorWireError as error:
            _log.warning("%s failed: %s", command.method, error)
            code, text = error.code, error.details or str(error)
        except Exception as error:
            _log.exception("a fault of TensorWire's in %s", command.method)
            code, text = "INTERNAL", f"{command.method} failed: {error!r}"
        self._end(lambda: command.fail(code, text))

    def _end(self, answer: Callable[[], None]) -> None:
        with self._lock:
            self._under_way -= 1
        answer()

    # The methods: each begins what is asked for, or raises what is answered.

    def _reload_config(self, request: Any) -> Begun:
        current = self._repository.configuration
        change = self._repository.replace(models_of(request.config, current))

        def fill(reply: Any) -> None:
            if change.failures:
                raise UnknownError(describe_failures("model", change.failures))
            if change.labels:
                raise change.labels[0]
            reply.status.SetInParent()

        return Begun(fill, change)

    def _list(self, _request: Any) -> Begun:
        def fill(reply: Any) -> None:
            for name, model in sorted(self._repository.configuration.items()):
                self._describe(model, self._status(name), reply.models.add())

        return Begun(fill)

    def _get_config(self, _request: Any) -> Begun:
        def fill(reply: Any) -> None:
            reply.config.CopyFrom(message_of(self._repository.configuration.values()))

        return Begun(fill)

    def _load(self, request: Any) -> Begun:
        current = self._repository.configuration
        model = added_model(request.config, current)
        change = self._repository.put(model)
        return self._telling(model.name, change, no_wait=request.no_wait)

    def _reload(self, request: Any) -> Begun:
        change = self._repository.reload(request.name)
        return self._telling(request.name, change, no_wait=request.no_wait)

    def _unload(self, request: Any) -> Begun:
        change = self._repository.remove(request.name)
        return Begun(lambda _reply: None, change, request.no_wait)

    def _telling(self, name: str, change: Change, *, no_wait: bool) -> Begun:
        """Answers how a model stands after the change."""

        def fill(reply: Any) -> None:
            if not no_wait and change.failures:
                raise ModelLoadError(describe_failures("model", change.failures), model=name)
            if not no_wait and change.labels:
                raise change.labels[0]
            model = self._repository.configuration.get(name)
            if model is not None:
                self._describe(model, self._status(name), reply.model)

        return Begun(fill, change, no_wait)

    @staticmethod
    def _describe(model: ModelConfig, status: ModelStatus, target: Any) -> None:
        target.config.CopyFrom(config_of(model))
        for version in status.versions:
            line = target.versions.add(version=version.version)
            line.state = line.State.Value(version.state)
            line.status.error_code = _code_number(version.code)
            line.status.error_message = version.message


def _code_number(code: str) -> int:
    field = message_type("tensorflow.serving.StatusProto").DESCRIPTOR.fields_by_name["error_code"]
    number: int = field.enum_type.values_by_name[code].number
    return number


def _parsed(command: Command, request: Any) -> Any:
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    try:
        if command.is_json:
            return json_format.Parse(command.payload or b"{}", request)
        request.ParseFromString(command.payload)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError) as error:
        kind = request.DESCRIPTOR.name
        raise InvalidArgumentError(f"the request is not a {kind}: {error}") from None
    return request


def _written(reply: Any, *, as_json: bool) -> bytes:
    if not as_json:
        return bytes(reply.SerializeToString())
    from google.protobuf import json_format

    text: str = json_format.MessageToJson(
        reply,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return text.encode()


__all__ = ["Command", "Control"]
