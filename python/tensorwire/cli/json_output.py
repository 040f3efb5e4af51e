"""Arrays as JSON values."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_json(value: NDArray[Any] | Any) -> Any:
    """Nested lists of numbers, truth values and text; `{"b64": ...}` for bytes that are
    not UTF-8, `[real, imaginary]` for complex numbers."""
    array = np.asarray(value)
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).tolist()
    if array.dtype.kind == "V":
        # bfloat16, whose values float32 holds exactly.
        array = array.astype(np.float32)
    return _plain(array.tolist())


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return value
