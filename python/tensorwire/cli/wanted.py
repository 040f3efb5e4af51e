"""An input that a signature wants, as the command line fills it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from tensorwire.signature import TensorSpec

_RANDOM_SEED = 0
"""The same command gives the same answer."""

_SOME_TEXT = b"some text"


@dataclass(frozen=True)
class WantedInput:
    """Its name, dtype and shape."""

    name: str
    dtype: np.dtype[Any]
    """numpy's object for strings."""

    shape: tuple[int | None, ...] | None
    """As in `TensorSpec`: None where a size, or the rank, is free."""

    @classmethod
    def from_spec(cls, spec: TensorSpec) -> WantedInput:
        """From a signature; BadParameter for a type that no request carries."""
        dtype = spec.numpy_dtype
        if dtype is None:
            raise click.BadParameter(f"the input {spec.name} is {spec.dtype}: it can't be sent")
        return cls(spec.name, dtype, spec.shape)

    @property
    def is_string(self) -> bool:
        """It takes text or bytes."""
        return self.dtype.kind == "O"

    @property
    def is_float(self) -> bool:
        """It takes real numbers with fractions."""
        # ml_dtypes gives bfloat16 the kind of raw bytes.
        return self.dtype.kind == "f" or self.dtype.name == "bfloat16"

    @property
    def has_free_rows(self) -> bool:
        """Its first dimension may be of any size: that of a batch."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None

    def example_shape(self, rows: int = 1) -> tuple[int, ...]:
        """A shape that fits, with 1 for sizes that are free, but `rows` for the first."""
        sizes = [1 if size is None else size for size in self.shape or ()]
        return tuple([rows, *sizes[1:]] if self.has_free_rows else sizes)

    def filled(self, filling: str, rows: int = 1) -> NDArray[Any]:
        """An array of `example_shape` with "zeros", "ones", or "random" numbers from 0 to
        1 (0 to 9 for whole numbers); with some text for strings."""
        shape = self.example_shape(rows)
        if self.is_string:
            return np.full(shape, _SOME_TEXT, object)
        if filling == "random":
            generator = np.random.default_rng(_RANDOM_SEED)
            if self.dtype.kind in "iu":
                return generator.integers(0, 10, shape).astype(self.dtype)
            return generator.random(shape).astype(self.dtype)
        return (np.zeros if filling == "zeros" else np.ones)(shape, self.dtype)

    def with_rows(self, array: NDArray[Any], rows: int) -> NDArray[Any]:
        """The array with so many rows, its own over and over, if that is free."""
        if not self.has_free_rows or array.ndim == 0 or not len(array):
            return array
        return array[np.arange(rows) % len(array)]

    def add_batch(self, array: NDArray[Any]) -> tuple[NDArray[Any], bool]:
        """The array with a batch dimension of 1 if that is all it lacks, and whether it
        did."""
        if self.shape is not None and array.ndim == len(self.shape) - 1:
            return array[np.newaxis], True
        return array, False

    def rows_shape(self, columns: int) -> tuple[int, ...] | None:
        """The shape of a table with this many columns as this input; None: as it is."""
        if not self.shape:
            return None
        inner = [size for size in self.shape[1:] if size is not None]
        if len(inner) == len(self.shape) - 1 and math.prod(inner) == columns:
            return (-1, *inner)
        return None

    def __str__(self) -> str:
        return f"{'string' if self.is_string else self.dtype} {describe_shape(self.shape)}"


def describe_shape(shape: tuple[int | None, ...] | None) -> str:
    """`[?, 8, 8]`; `[...]` where even the rank is free."""
    if shape is None:
        return "[...]"
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"
