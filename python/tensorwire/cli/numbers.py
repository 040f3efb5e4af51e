"""Numbers as arrays of the dtype that an input has, none of them changed on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_dtype(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array, a number or nested lists of them as an array of `dtype`.

    Rounds to the precision of a float. Raises ValueError or TypeError, with the value and
    the range, for what the dtype can't hold: infinities are values like others.
    """
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        array = _from_objects(array)
    if dtype.kind == "c" or array.dtype == dtype:
        return _narrowed(array, dtype)
    if array.dtype.kind == "c":
        raise ValueError(f"complex numbers can't become {dtype}")
    if dtype.kind in "iub":
        return _whole(array, dtype)
    return _narrowed(array, dtype)


def _from_objects(array: NDArray[Any]) -> NDArray[Any]:
    """What numpy finds no dtype for: whole numbers beyond 64 bits, or no numbers."""
    for each in array.ravel():
        # A bool is an int.
        if not isinstance(each, (int, float)):
            shown = "null" if each is None else _shorten(each)
            raise ValueError(f"{shown} is no number")
    return array.astype(np.float64)


def _shorten(value: object) -> str:
    # numpy's own text has a longer repr.
    shown = repr(str(value) if isinstance(value, str) else value)
    return shown if len(shown) <= 40 else shown[:40] + "..."


def _whole(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind != "b" and array.size:
        limits = np.iinfo(dtype)
        for extreme in (array.min(), array.max()):
            # As Python's numbers, which compare exactly.
            if np.isfinite(extreme) and not limits.min <= extreme.item() <= limits.max:
                raise ValueError(_out_of_range(extreme, dtype, limits))
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if not np.array_equal(converted, array):
        raise ValueError(f"its numbers are not all whole numbers that fit {dtype}")
    return converted


def _narrowed(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        converted = array.astype(dtype)
    lost = np.isfinite(array) & ~np.isfinite(converted)
    if lost.any():
        raise ValueError(_out_of_range(array[lost][0], dtype, _float_limits(dtype)))
    return converted


def _float_limits(dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "fc":
        return np.finfo(dtype)
    import ml_dtypes  # Whose dtype this is.

    limits: Any = ml_dtypes.finfo
    return limits(dtype)


def _out_of_range(value: Any, dtype: np.dtype[Any], limits: Any) -> str:
    return f"{value} is out of the range of {dtype}, {limits.min} to {limits.max}"
