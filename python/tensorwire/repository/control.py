"""Answers callers that change the models over the network, or want to see which there are:
`tensorflow.serving.ModelService/HandleReloadConfigRequest` and `tensorwire.ModelRepository`.
Such changes last until the file that lists the models changes, if there is one.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Mapping
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
from .workers import Workers

_log = logging.getLogger("tensorwire.repository")

RELOAD_CONFIG = "tensorflow.serving.ModelService/HandleReloadConfigRequest"
SERVICE = "tensorwire.ModelRepository"

TAKE_SECONDS = 1.0
"""How long one wait for a command is."""

QUICK_THREADS, WAITING_THREADS = 2, 64
"""Those that only tell wait for nothing, and so for none of those that do."""


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


class Control:
    """Takes commands and has them done, each in a thread of its own."""

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
        self._quick = Workers("told", QUICK_THREADS)
        self._waiting = Workers("control", WAITING_THREADS)
        self._methods: Mapping[str, tuple[str, str, Callable[[Any, Any], None], Workers]] = {
            RELOAD_CONFIG: (
                "tensorflow.serving.ReloadConfigRequest",
                "tensorflow.serving.ReloadConfigResponse",
                self._reload_config,
                self._waiting,
            ),
            **dict(
                self._own(name, do, workers)
                for name, do, workers in (
                    ("ListModels", self._list, self._quick),
                    ("GetConfig", self._get_config, self._quick),
                    ("LoadModel", self._load, self._waiting),
                    ("UnloadModel", self._unload, self._waiting),
                    ("ReloadModel", self._reload, self._waiting),
                )
            ),
        }

    @staticmethod
    def _own(name: str, do: Callable[[Any, Any], None], workers: Workers) -> tuple[str, Any]:
        request, reply = f"tensorwire.{name}Request", f"tensorwire.{name}Response"
        return f"{SERVICE}/{name}", (request, reply, do, workers)

    def start(self) -> None:
        """Begins to take commands."""
        threading.Thread(target=self._work, name="tensorwire-control", daemon=True).start()

    def stop(self) -> None:
        """Takes no more."""
        self._stopping.set()
        self._quick.stop()
        self._waiting.stop()

    def _work(self) -> None:
        while not self._stopping.is_set():
            command = self._take(TAKE_SECONDS)
            if command is not None:
                self.hand_out(command)

    def hand_out(self, command: Command) -> None:
        """Has a command done."""
        known = self._methods.get(command.method)
        if known is None:
            command.fail("UNIMPLEMENTED", f"there is no method {command.method}")
            return
        known[3].run(lambda: self.do(command))

    def do(self, command: Command) -> None:
        """Does it, and answers."""
        request_type, reply_type, do, _ = self._methods[command.method]
        try:
            request = _parsed(command, new_message(request_type))
            reply = new_message(reply_type)
            do(request, reply)
            answer = _written(reply, as_json=command.is_json)
        except TensorWireError as error:
            _log.warning("%s failed: %s", command.method, error)
            command.fail(error.code, error.details or str(error))
        except Exception as error:
            _log.exception("a fault of TensorWire's in %s", command.method)
            command.fail("INTERNAL", f"{command.method} failed: {error!r}")
        else:
            command.answer(answer)

    # The methods: each fills its reply, or raises what is answered.

    def _reload_config(self, request: Any, reply: Any) -> None:
        current = self._repository.configuration
        models = [_keeping(each, current) for each in models_of(request.config, current)]
        change = self._repository.replace(models)
        _wait(change)
        if change.failures:
            raise UnknownError(describe_failures("model", change.failures))
        if change.labels:
            raise change.labels[0]
        reply.status.SetInParent()

    def _list(self, _request: Any, reply: Any) -> None:
        for name, model in sorted(self._repository.configuration.items()):
            self._describe(model, self._status(name), reply.models.add())

    def _get_config(self, _request: Any, reply: Any) -> None:
        reply.config.CopyFrom(message_of(self._repository.configuration.values()))

    def _load(self, request: Any, reply: Any) -> None:
        current = self._repository.configuration
        model = _keeping(added_model(request.config, current), current)
        change = self._repository.put(model)
        self._finish(change, request, reply, model.name)

    def _reload(self, request: Any, reply: Any) -> None:
        change = self._repository.reload(request.name)
        self._finish(change, request, reply, request.name)

    def _unload(self, request: Any, _reply: Any) -> None:
        change = self._repository.remove(request.name)
        if not request.no_wait or request.name not in self._repository.configuration:
            _wait(change)

    def _finish(self, change: Change, request: Any, reply: Any, name: str) -> None:
        if not request.no_wait:
            _wait(change)
            if change.failures:
                raise ModelLoadError(describe_failures("model", change.failures), model=name)
            if change.labels:
                raise change.labels[0]
        model = self._repository.configuration.get(name)
        if model is not None:
            self._describe(model, self._status(name), reply.model)

    @staticmethod
    def _describe(model: ModelConfig, status: ModelStatus, target: Any) -> None:
        target.config.CopyFrom(config_of(model))
        for version in status.versions:
            line = target.versions.add(version=version.version)
            line.state = line.State.Value(version.state)
            line.status.error_code = _code_number(version.code)
            line.status.error_message = version.message


def _wait(change: Change) -> None:
    complete = change.wait()
    if change.refused is not None:
        raise change.refused
    if not complete:
        raise UnavailableError("the server is stopping")


def _keeping(model: ModelConfig, current: Mapping[str, ModelConfig]) -> ModelConfig:
    """With what the message can't say as it was, if it is the same model."""
    known = current.get(model.name)
    if known is None or known.path != model.path:
        return model
    kept = {name: table for name, table in known.options.items() if name != "logging"}
    options = {**kept, **model.options}
    return dataclasses.replace(
        model, batching=known.batching, transition=known.transition, options=options
    )


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
