"""What the clients do, without waiting: each operation is a generator that hands out the
calls to be made and takes their replies. `sync.py` and `aio.py` drive them."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from tensorwire import tensors
from tensorwire._core import NativeError, Request
from tensorwire.arguments import check_count, check_outputs, check_strings, check_type
from tensorwire.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    PredictionError,
    UnimplementedError,
    from_native,
)
from tensorwire.signature import ModelMetadata, ModelStatus, Signature
from tensorwire.tensors import Strings

from .settings import CallSettings, ClientSettings, MetadataValue, Unset

SERVING = "SERVING"
"""The health of what answers requests."""

SERVICES = frozenset(
    {
        "",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "prediction_service.PredictionService",
        "tensorflow.serving.ModelService",
        "tensorwire.ModelRepository",
        "tensorflow.serving.PredictionService",
    }
)
"""What servers register with their health service beside their models."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Step:
    """A call to be made; its reply, or its error, is what the operation gets for it."""

    request: Request
    timeout: float | None
    metadata: Sequence[tuple[str, MetadataValue]]
    wait_for_ready: bool
    model: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """Time to be let pass."""

    seconds: float


Operation = Generator[Step | Pause, Any, _T]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which version of a model, and how to call it."""

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = "serving_default"
    outputs: Sequence[str] | None = None

    def check(self) -> None:
        """Raises InvalidArgumentError for a choice that can't be made."""
        kind = InvalidArgumentError
        check_type("model", self.model, str, "the name of a model", kind)
        if self.version is not None:
            check_count("version", self.version, 2**63, kind)
        if self.label is not None:
            check_type("label", self.label, str, "a str", kind)
        if self.version is not None and self.label is not None:
            raise InvalidArgumentError(
                f"version {self.version} and label {self.label!r} are both given; "
                "a call names one of them"
            )
        check_type("signature", self.signature, str, "the name of a signature", kind)
        check_outputs(self.outputs, kind)


class Plan:
    """One operation's time and what goes along with its calls."""

    def __init__(self, settings: ClientSettings, call: CallSettings, model: str | None) -> None:
        self.timeout = settings.timeout if isinstance(call.timeout, Unset) else call.timeout
        self.wait_for_ready = (
            settings.wait_for_ready
            if isinstance(call.wait_for_ready, Unset)
            else call.wait_for_ready
        )
        self.metadata = settings.metadata + call.entries()
        self.model = model
        self._started = time.monotonic()

    def step(self, request: Request) -> Step:
        """A call within what is left of the time."""
        return Step(request, self.remaining(), self.metadata, self.wait_for_ready, self.model)

    def remaining(self) -> float | None:
        """Seconds left, 0 or more; None: no limit."""
        if self.timeout is None:
            return None
        return min(self.timeout, max(0.0, self.timeout - (time.monotonic() - self._started)))


class Operations:
    """The operations of one client, and what it remembers of its models."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._described: dict[tuple[str, int | None, str | None], ModelMetadata] = {}

    def predict(
        self, choice: Choice, inputs: Any, call: CallSettings, strings: Strings | Unset
    ) -> Operation[dict[str, np.ndarray[Any, Any]]]:
        """Tensors in, tensors out."""
        choice.check()
        how = self._settings.strings if isinstance(strings, Unset) else strings
        check_strings(how, InvalidArgumentError)
        plan = Plan(self._settings, call, choice.model)
        signature = None
        if _needs_signature(inputs):
            signature = yield from self._signature(plan, choice)
        request = _built(
            choice.model,
            lambda: Request.predict(
                choice.model,
                choice.version,
                choice.label,
                choice.signature,
                _encode_inputs(inputs, signature),
                choice.outputs or (),
            ),
        )
        try:
            _, outputs = yield plan.step(request)
        except InvalidArgumentError:
            self.forget(choice.model)
            raise
        arrays = {output[0]: tensors.decode(output, how) for output in outputs}
        return {name: arrays[name] for name in choice.outputs or sorted(arrays) if name in arrays}

    def predict_text(self, text: str, model: str | None, call: CallSettings) -> Operation[str]:
        """Text in, text out."""
        check_type("text", text, str, "a str", InvalidArgumentError)
        plan = Plan(self._settings, call, model)
        request = _built(model, lambda: Request.text(text, model))
        prediction, error_message = yield plan.step(request)
        if error_message:
            raise PredictionError(error_message)
        return str(prediction)

    def metadata(self, choice: Choice, call: CallSettings) -> Operation[ModelMetadata]:
        """A model's signatures, asked for anew."""
        choice.check()
        plan = Plan(self._settings, call, choice.model)
        return (yield from self._metadata(plan, choice))

    def status(self, choice: Choice, call: CallSettings) -> Operation[ModelStatus]:
        """The states of a model's versions."""
        choice.check()
        plan = Plan(self._settings, call, choice.model)
        request = Request.status(choice.model, choice.version, choice.label)
        return ModelStatus.from_tuples(choice.model, (yield plan.step(request)))

    def models(self, call: CallSettings) -> Operation[list[ModelStatus]]:
        """All models and the states of their versions."""
        plan = Plan(self._settings, call, None)
        try:
            services = yield plan.step(Request.health_list())
        except UnimplementedError as error:
            raise UnimplementedError(
                "this server can't list its models (it lacks Health/List); "
                "ask for one by its name",
                target=error.target,
            ) from None
        found = []
        for name in sorted(set(services) - SERVICES):
            try:
                versions = yield plan.step(Request.status(name, None, None))
            except NotFoundError:
                versions = []
            found.append(ModelStatus.from_tuples(name, versions))
        return found

    def health(self, service: str, call: CallSettings) -> Operation[str]:
        """The health of the server, a service or a model."""
        check_type("service", service, str, "a name", InvalidArgumentError)
        plan = Plan(self._settings, call, service or None)
        return str((yield plan.step(Request.health(service))))

    def wait_until_ready(self, timeout: float | None, model: str | None) -> Operation[None]:
        """Lets time pass until the server, or the model, serves."""
        plan = Plan(self._settings, CallSettings(timeout, wait_for_ready=True), model)
        pause = _FIRST_PAUSE_SECONDS
        seen = None
        while True:
            try:
                state = yield from _state(plan, model)
            except DeadlineExceededError as error:
                raise _not_ready(plan, f"it is {seen}" if seen else error.details, error) from None
            if state == SERVING:
                return
            seen = state
            remaining = plan.remaining()
            yield Pause(pause if remaining is None else min(pause, remaining))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def forget(self, model: str) -> None:
        """A call was wrong: perhaps the model has changed, and the next call asks for its
        signatures again."""
        for key in [key for key in self._described if key[0] == model]:
            self._described.pop(key, None)

    def _signature(self, plan: Plan, choice: Choice) -> Operation[Signature]:
        key = (choice.model, choice.version, choice.label)
        described = self._described.get(key)
        if described is None or choice.signature not in described.signatures:
            described = yield from self._metadata(plan, choice)
            self._described[key] = described
        return described.signature(choice.signature)

    def _metadata(self, plan: Plan, choice: Choice) -> Operation[ModelMetadata]:
        request = Request.metadata(choice.model, choice.version, choice.label)
        version, signatures = yield plan.step(request)
        return ModelMetadata.from_tuples(choice.model, version, signatures)


def _state(plan: Plan, model: str | None) -> Operation[str]:
    """The health of the server or a model, also of servers without a health service:
    they serve if they answer, and a model does if a version of it is available."""
    try:
        return str((yield plan.step(Request.health(model or ""))))
    except UnimplementedError:
        if model is None:
            return SERVING
    try:
        versions = yield plan.step(Request.status(model, None, None))
    except NotFoundError:
        return "unknown to the server"
    return SERVING if ModelStatus.from_tuples(model, versions).available else "not available"


def _not_ready(plan: Plan, why: str, error: DeadlineExceededError) -> DeadlineExceededError:
    what = "the server" if plan.model is None else f"model {plan.model!r}"
    within = "" if plan.timeout is None else f" within {plan.timeout:g} s"
    return DeadlineExceededError(f"{what} was not ready{within}: {why}", target=error.target)


def _needs_signature(inputs: Any) -> bool:
    """Whether the request can't be made from the inputs alone."""
    if not isinstance(inputs, Mapping):
        return True
    return any(tensors.is_python_value(value) for value in inputs.values())


def _encode_inputs(inputs: Any, signature: Signature | None) -> list[Any]:
    specs = signature.inputs if signature else {}
    encoded = []
    for name, value in (signature.named(inputs) if signature else inputs).items():
        if not isinstance(name, str):
            raise InvalidArgumentError(f"inputs must be named by strings, not by {name!r}")
        encoded.append(tensors.encode(name, value, specs.get(name)))
    return encoded


def _built(model: str | None, build: Callable[[], Request]) -> Request:
    try:
        return build()
    except NativeError as error:
        refused = from_native(error, model=model)
    raise refused
