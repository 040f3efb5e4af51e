"""The request that `tensorwire bench` sends: made from the metadata, and tried once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tensorwire import tensors
from tensorwire._core import NativeError, Request
from tensorwire.client import Client
from tensorwire.errors import from_native
from tensorwire.signature import Signature

from .choice import batched, callable_signature, only_model, wanted_inputs
from .images import Scale
from .inputs import InputReader
from .wanted import WantedInput, describe_shape


@dataclass(frozen=True)
class Choice:
    """Which signature of which model, as the command line says it."""

    model: str | None
    version: int | None
    label: str | None
    signature: str
    outputs: Sequence[str]


@dataclass(frozen=True)
class Inputs:
    """What it is given. `rows`: those of a batch; None: as many as the inputs have."""

    given: tuple[str, ...]
    scale: Scale
    rows: int | None


@dataclass(frozen=True)
class BenchCall:
    """A request that the server has answered once."""

    model: str
    version: int | None
    label: str | None
    signature: str
    arrays: Mapping[str, NDArray[Any]]
    rows: int
    """Rows of the batch in it; 1 if it has none."""

    request: Request

    @classmethod
    def prepare(cls, client: Client, choice: Choice, inputs: Inputs) -> BenchCall:
        """Asks for the metadata, makes the inputs and sends the request once.

        Raises a CallError if the server refuses it, UsageError or BadParameter for inputs
        that don't fit.
        """
        if choice.version is not None and choice.label is not None:
            raise click.UsageError("--version and --label both name a version: give one of them")
        model = choice.model or only_model(client)
        which: dict[str, Any] = {"version": choice.version, "label": choice.label}
        metadata = client.metadata(model, **which)
        signature = callable_signature(metadata.signatures, choice.signature, model)
        wanted = wanted_inputs(signature)
        arrays = request_arrays(inputs, signature, wanted)
        outputs = list(choice.outputs)
        client.predict(model, arrays, signature=choice.signature, outputs=outputs or None, **which)
        request = _encoded(model, choice, arrays, outputs)
        rows = _rows(wanted, arrays)
        return cls(model, metadata.version, choice.label, choice.signature, arrays, rows, request)

    def describe(self) -> str:
        """`mnist version 3, serving_default: image float32 [1, 28, 28]`."""
        version = "" if self.version is None else f" version {self.version}"
        inputs = ", ".join(
            f"{name} {_dtype(array)} {describe_shape(array.shape)}"
            for name, array in self.arrays.items()
        )
        return f"{self.model}{version}, {self.signature}: {inputs or 'no inputs'}"

    def as_json(self) -> dict[str, Any]:
        """What is asked, with stable names."""
        return {
            "model": self.model,
            "version": self.version,
            "label": self.label,
            "signature": self.signature,
            "inputs": {
                name: {"dtype": _dtype(array), "shape": list(array.shape)}
                for name, array in self.arrays.items()
            },
            "rows_per_request": self.rows,
        }


def _dtype(array: NDArray[Any]) -> str:
    return "string" if array.dtype.kind == "O" else array.dtype.name


def request_arrays(
    inputs: Inputs, signature: Signature, wanted: Mapping[str, WantedInput]
) -> dict[str, NDArray[Any]]:
    """Those given, and random ones for the others that the signature needs."""
    arrays, _ = batched(wanted, InputReader(wanted, inputs.scale).read(inputs.given))
    if inputs.rows is not None:
        if not any(each.has_free_rows for each in wanted.values()):
            raise click.UsageError(
                f"--batch {inputs.rows} can't be had: no input of {signature.name} has a first "
                "dimension of any size"
            )
        arrays = {
            name: wanted[name].with_rows(array, inputs.rows) for name, array in arrays.items()
        }
    for name in signature.required_inputs:
        if name not in arrays:
            arrays[name] = wanted[name].filled(
                "random", inputs.rows or _common_rows(wanted, arrays)
            )
    return {name: np.asarray(arrays[name]) for name in sorted(arrays)}


def _common_rows(wanted: Mapping[str, WantedInput], arrays: Mapping[str, NDArray[Any]]) -> int:
    """As many rows as the inputs that were given have."""
    rows = [len(array) for name, array in arrays.items() if _is_batch(wanted[name], array)]
    return rows[0] if rows else 1


def _rows(wanted: Mapping[str, WantedInput], arrays: Mapping[str, NDArray[Any]]) -> int:
    rows = {len(array) for name, array in arrays.items() if _is_batch(wanted[name], array)}
    return rows.pop() if len(rows) == 1 else 1


def _is_batch(wanted: WantedInput, array: NDArray[Any]) -> bool:
    return wanted.has_free_rows and array.ndim > 0


def _encoded(
    model: str, choice: Choice, arrays: Mapping[str, NDArray[Any]], outputs: list[str]
) -> Request:
    encoded = [tensors.encode(name, array, None) for name, array in arrays.items()]
    try:
        return Request.predict(
            model, choice.version, choice.label, choice.signature, encoded, outputs
        )
    except NativeError as error:
        raise from_native(error, model=model) from None
