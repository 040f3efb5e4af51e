"""What a model says of itself: its signatures and the states of its versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .dtypes import dtype_name, numpy_dtype
from .errors import FailedPreconditionError, InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np

    from .core_types import SignatureTuple, SpecTuple, StatusTuple

INIT_SIGNATURE = "__saved_model_init_op"
"""Where TensorFlow 2 keeps a model's initialization: listed with its signatures, and
nothing to call."""

AVAILABLE = "AVAILABLE"
"""The state of a version that answers requests."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output of a signature.

    `name`: as requests and replies call it. `dtype`: TensorFlow's name, "float32",
    "string". `shape`: None for a size that is not fixed; None as a whole if even the
    rank is not. `tensor_name`: in the model's graph. `optional`: an input with a
    default, which may be left out.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    tensor_name: str = ""
    optional: bool = False

    @property
    def numpy_dtype(self) -> np.dtype[Any] | None:
        """The dtype of its arrays (object for strings); None if numpy has none."""
        return numpy_dtype(self.dtype)

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype} of any shape"
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype}[{sizes}]"

    @classmethod
    def from_tuple(cls, spec: SpecTuple, optional: bool = False) -> TensorSpec:
        """From the native core's tuple."""
        name, tensor_name, number, sizes = spec
        shape = None if sizes is None else tuple(None if size < 0 else size for size in sizes)
        return cls(name, dtype_name(number), shape, tensor_name, optional)


@dataclass(frozen=True, slots=True)
class Signature:
    """A way to call a model: what it takes and what it gives, by name, sorted."""

    name: str
    method_name: str
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]

    def __str__(self) -> str:
        inputs = ", ".join(map(str, self.inputs.values()))
        outputs = ", ".join(map(str, self.outputs.values()))
        return f"{self.name}({inputs}) -> ({outputs})"

    def only_input(self) -> str:
        """The name of the one input that a bare value can be meant for.

        Raises InvalidArgumentError if there is none, or a choice.
        """
        required = self.required_inputs
        names = required if len(required) == 1 else list(self.inputs)
        if len(names) == 1:
            return names[0]
        if not names:
            raise InvalidArgumentError(
                f"signature {self.name!r} takes no inputs; leave them out, or give {{}}"
            )
        raise InvalidArgumentError(
            f"signature {self.name!r} has {len(names)} inputs ({', '.join(names)}); "
            "give a mapping of their names to values"
        )

    @property
    def required_inputs(self) -> list[str]:
        """The names of the inputs without a default."""
        return [name for name, spec in self.inputs.items() if not spec.optional]

    def named(self, inputs: Any) -> Mapping[str, Any]:
        """Inputs by name: of a mapping, one bare value, or None, where none are needed.

        Raises InvalidArgumentError for a value or None that doesn't say enough.
        """
        if isinstance(inputs, Mapping):
            return inputs
        if inputs is not None:
            return {self.only_input(): inputs}
        if self.required_inputs:
            raise InvalidArgumentError(
                f"signature {self.name!r} needs inputs ({', '.join(self.required_inputs)}); "
                "none were given"
            )
        return {}

    @classmethod
    def from_tuple(cls, signature: SignatureTuple) -> Signature:
        """From the native core's tuple."""
        name, method_name, inputs, outputs, defaults = signature
        return cls(
            name,
            method_name,
            {spec[0]: TensorSpec.from_tuple(spec, spec[0] in defaults) for spec in sorted(inputs)},
            {spec[0]: TensorSpec.from_tuple(spec) for spec in sorted(outputs)},
        )


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A version of a model and its signatures, by name, sorted.

    `version` is None if the server doesn't say which one it described.
    """

    name: str
    version: int | None
    signatures: dict[str, Signature]

    def signature(self, name: str) -> Signature:
        """The signature of this name; "" is serving_default, as servers have it.
        FailedPreconditionError if none can be called by it."""
        found = self.signatures.get(name or "serving_default")
        if found is None or name == INIT_SIGNATURE:
            choices = [repr(each) for each in self.signatures if each != INIT_SIGNATURE]
            raise FailedPreconditionError(
                f"there is no signature {name!r}; there is {', '.join(choices) or 'none at all'}"
            )
        return found

    @classmethod
    def from_tuples(
        cls, name: str, version: int | None, signatures: Iterable[SignatureTuple]
    ) -> ModelMetadata:
        """From the native core's tuples."""
        made = (Signature.from_tuple(signature) for signature in sorted(signatures))
        return cls(name, version, {signature.name: signature for signature in made})


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """The state of one version.

    `state`: "START", "LOADING", "AVAILABLE", "UNLOADING" or "END". `code` and `message`:
    its error, "OK" and "" if it has none.
    """

    version: int
    state: str
    code: str = "OK"
    message: str = ""

    @property
    def available(self) -> bool:
        """Whether it answers requests."""
        return self.state == AVAILABLE

    def __str__(self) -> str:
        error = "" if self.code == "OK" else f" ({self.code}: {self.message})"
        return f"version {self.version}: {self.state}{error}"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model's versions and their states, newest first."""

    name: str
    versions: tuple[VersionStatus, ...]

    @property
    def available(self) -> bool:
        """Whether any version answers requests."""
        return any(version.available for version in self.versions)

    def __str__(self) -> str:
        return f"{self.name}: {', '.join(map(str, self.versions)) or 'no version'}"

    @classmethod
    def from_tuples(cls, name: str, versions: Iterable[StatusTuple]) -> ModelStatus:
        """From the native core's tuples."""
        return cls(name, tuple(VersionStatus(*version) for version in versions))


__all__ = ["ModelMetadata", "ModelStatus", "Signature", "TensorSpec", "VersionStatus"]
