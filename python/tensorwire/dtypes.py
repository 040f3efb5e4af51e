"""The one table of element types: TensorFlow's numbers and names, numpy's dtypes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

STRING = "string"
BFLOAT16 = "bfloat16"

_FIXED_SIZE: dict[int, str] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
"""Those whose name numpy knows."""

_NAMES: dict[int, str] = {**_FIXED_SIZE, 7: STRING, 14: BFLOAT16}

_NAMES_NOT_CARRIED: dict[int, str] = {
    0: "invalid",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    15: "qint16",
    16: "quint16",
    20: "resource",
    21: "variant",
}
"""Types that signatures can have and requests can't carry."""

NUMBERS: dict[str, int] = {name: number for number, name in _NAMES.items()}
"""`tensorflow.DataType` numbers of the 16 element types that requests carry."""

_NUMPY: dict[str, np.dtype[Any]] = {name: np.dtype(name) for name in _FIXED_SIZE.values()}


def dtype_name(number: int) -> str:
    """TensorFlow's name for a `tensorflow.DataType` number, "dtype 99" if it has none."""
    return _NAMES.get(number) or _NAMES_NOT_CARRIED.get(number) or f"dtype {number}"


def numpy_dtype(name: str) -> np.dtype[Any] | None:
    """The dtype of arrays of this element type: object for strings; for bfloat16 that of
    ml_dtypes, float32 without it; None for a type that no array has."""
    if name == STRING:
        return np.dtype(object)
    if name == BFLOAT16:
        return bfloat16() or _NUMPY["float32"]
    return _NUMPY.get(name)


@functools.cache
def bfloat16() -> np.dtype[Any] | None:
    """ml_dtypes' bfloat16; None if that package is not installed."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype
