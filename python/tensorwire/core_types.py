"""The plain tuples that cross between Python and the native core; `_core.pyi` says where."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WireTensor: TypeAlias = "tuple[str, int, tuple[int, ...], NDArray[np.uint8] | list[bytes]]"
"""(name, `tensorflow.DataType` number, shape, elements).

Elements of fixed size are a one-dimensional, contiguous uint8 array of their
little-endian bytes, row-major; those of a string tensor a flat list of bytes objects.
"""

SpecTuple: TypeAlias = "tuple[str, str, int, tuple[int, ...] | None]"
"""(alias, name in the graph, `tensorflow.DataType` number, shape).

Unknown sizes are -1, the shape of an unknown rank is None. The number may be of a type
that no request can carry (0 for `DT_INVALID`, ...).
"""

SignatureTuple: TypeAlias = "tuple[str, str, list[SpecTuple], list[SpecTuple], list[str]]"
"""(name, method name, inputs, outputs, aliases of inputs that have a default)."""

CostTuple: TypeAlias = (
    "tuple[str, str | None, str | None, int, list[tuple[int, float | None, float | None, bool]], "
    "tuple[int, int, int | None] | None]"
)
"""(signature, why its requests run alone, why it was not measured, bytes of a row, points,
decision).

A point is (rows, seconds in the calling thread, seconds in TensorFlow's threads, whether it
is run in those); None where it never runs there. The decision is (most rows that an I/O
thread runs itself, most rows of a batch, the smallest measured batch that runs in
TensorFlow's threads or None), or None where nothing was measured.
"""

StatusTuple: TypeAlias = "tuple[int, str, str, str]"
"""(version, state such as "AVAILABLE", error code such as "OK" or "NOT_FOUND", message)."""
