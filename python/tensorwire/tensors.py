"""numpy arrays and Python values to the native core's tensors, and back.

numpy arrays go as they are, whatever their layout; lists and numbers, numpy's scalars too,
become what the model's signature wants, if that is a type for such values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .dtypes import BFLOAT16, NUMBERS, STRING, bfloat16, dtype_name, numpy_dtype
from .errors import TensorTypeError

if TYPE_CHECKING:
    from .core_types import WireTensor
    from .signature import TensorSpec

Strings = Literal["bytes", "str"]
"""How the elements of string tensors are given back."""

_PYTHON_VALUES = (list, tuple, range, str, bytes, bool, int, float, complex, np.generic)

# ml_dtypes' own, for where that package is not installed; numpy's finfo knows none.
_MAX_BFLOAT16 = 3.3895313892515355e38

# What values of the kind on the left may become, by numpy's one-letter kinds: an integer
# may become a float, 1.5 no integer. The range of the type is checked besides.
_WIDENS = {"b": "biufc", "i": "iufc", "u": "iufc", "f": "fc", "c": "c"}


def is_python_value(value: object) -> bool:
    """Whether a value takes the dtype that the model wants: a list, a tuple, a range, or a
    scalar, numpy's too, whose dtype is rarely more than what a computation left behind."""
    return isinstance(value, _PYTHON_VALUES)


def encode(name: str, value: Any, spec: TensorSpec | None = None) -> WireTensor:
    """The tensor for input `name`.

    `spec` says what Python values are to become; arrays, and anything that numpy makes
    an array of, keep their own dtype. Raises TensorTypeError.
    """
    if is_python_value(value):
        array = _from_python(name, value, spec)
        if spec is not None and spec.dtype == BFLOAT16 and bfloat16() is None:
            bits = _bfloat16_bits(array)
            return name, NUMBERS[BFLOAT16], array.shape, bits.reshape(-1).view(np.uint8)
    else:
        array = _from_array(name, value)
    if array.dtype.kind in "OSUT":
        return name, NUMBERS[STRING], array.shape, _string_elements(name, array)
    number = NUMBERS[BFLOAT16] if _is_bfloat16(array.dtype) else NUMBERS.get(array.dtype.name)
    if number is None:
        raise TensorTypeError(
            f"input {name!r} has dtype {array.dtype}, which no tensor has; "
            f"convert it to one of {', '.join(sorted(NUMBERS))}"
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    elements = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return name, number, array.shape, elements


def decode(tensor: WireTensor, strings: Strings = "bytes") -> np.ndarray[Any, Any]:
    """The array of an output: writable, of its own memory.

    String tensors become object arrays of bytes, or of str if `strings` says so.
    bfloat16 becomes ml_dtypes' dtype where that package is installed, else float32,
    which holds the same values exactly. Raises TensorTypeError.
    """
    name, number, shape, elements = tensor
    if isinstance(elements, list):
        return _from_strings(name, elements, strings).reshape(shape)
    dtype_is = dtype_name(number)
    if dtype_is == BFLOAT16 and bfloat16() is None:
        # The upper half of a float32: the lower half is zero.
        wide = elements.view("<u2").astype("<u4") << 16
        return wide.view(np.float32).reshape(shape)
    dtype = numpy_dtype(dtype_is)
    if dtype is None:
        raise TensorTypeError(f"output {name!r} is of type {dtype_is}, which numpy does not have")
    return elements.view(dtype).reshape(shape)


def _from_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise TensorTypeError(
            f"input {name!r} is a masked array, whose mask no tensor carries; fill it first"
        )
    array = np.asarray(value)
    if array.dtype.kind == "O" and not isinstance(value, np.ndarray):
        raise TensorTypeError(
            f"input {name!r} is of type {type(value).__name__}; "
            "give a numpy array, a list, a number or a string"
        )
    return array


def _from_python(name: str, value: Any, spec: TensorSpec | None) -> np.ndarray[Any, Any]:
    if _holds_strings(value):
        if spec is not None and spec.dtype != STRING:
            raise TensorTypeError(f"input {name!r} is {spec.dtype}, got {shorten(value)}")
        return _object_array(name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise TensorTypeError(f"input {name!r} is no array: {error}") from None
    if spec is None:
        return array
    return _converted(name, value, array, spec)


def _converted(
    name: str, value: Any, array: np.ndarray[Any, Any], spec: TensorSpec
) -> np.ndarray[Any, Any]:
    wanted = spec.numpy_dtype
    if wanted is None:
        raise TensorTypeError(f"input {name!r} is of type {spec.dtype}, which no request carries")
    if array.size == 0:
        return np.empty(array.shape, wanted)
    if array.dtype == wanted and spec.dtype != STRING:
        return array
    if _is_bfloat16(array.dtype):
        array = array.astype(np.float32)
    if spec.dtype == STRING:
        raise TensorTypeError(f"input {name!r} is string, got {shorten(value)}")
    # ml_dtypes gives its floats the kind of raw bytes.
    kind = "f" if spec.dtype == BFLOAT16 else wanted.kind
    if kind not in _WIDENS.get(array.dtype.kind, ""):
        raise TensorTypeError(f"input {name!r} is {spec.dtype}, got {shorten(value)}")
    _check_range(name, array, wanted, spec)
    return array.astype(wanted)


def _check_range(
    name: str, array: np.ndarray[Any, Any], wanted: np.dtype[Any], spec: TensorSpec
) -> None:
    """Refuses numbers that `wanted` can't hold. Infinities are values like others."""
    lowest: float
    highest: float
    if wanted.kind in "iu":
        lowest, highest = np.iinfo(wanted).min, np.iinfo(wanted).max
    elif spec.dtype == BFLOAT16 and array.dtype.kind in "iuf":
        lowest, highest = -_MAX_BFLOAT16, _MAX_BFLOAT16
    elif wanted.kind == "f" and array.dtype.kind in "iuf":
        lowest, highest = float(np.finfo(wanted).min), float(np.finfo(wanted).max)
    else:
        return
    if array.dtype.kind == "f":
        array = array[np.isfinite(array)]
    for extreme in (array.min(initial=0), array.max(initial=0)):
        if not lowest <= extreme <= highest:
            raise TensorTypeError(
                f"input {name!r} is {spec.dtype}, from {lowest} to {highest}, got {extreme}"
            )


def _holds_strings(value: Any) -> bool:
    """Whether the first element of nested lists is a string."""
    while isinstance(value, (list, tuple)) and len(value):
        value = value[0]
    return isinstance(value, (str, bytes))


def _object_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """An array of str and bytes: numpy's own conversion would cut trailing zero bytes
    and make text of bytes that stand beside text."""
    if not isinstance(value, (list, tuple)):
        array = np.empty((), object)
        array[()] = value
        return array
    try:
        return np.array(value, dtype=object)
    except ValueError as error:
        raise TensorTypeError(f"input {name!r} is no array: {error}") from None


def _string_elements(name: str, array: np.ndarray[Any, Any]) -> list[bytes]:
    elements: Iterable[Any] = array.reshape(-1).tolist()
    return [_string_element(name, element) for element in elements]


def _string_element(name: str, element: Any) -> bytes:
    if isinstance(element, str):
        try:
            return element.encode()
        except UnicodeEncodeError as error:
            raise TensorTypeError(f"input {name!r} has text that is not UTF-8: {error}") from None
    if isinstance(element, (bytes, bytearray, memoryview)):
        return bytes(element)
    raise TensorTypeError(
        f"input {name!r} has an element {shorten(element)}; strings must be str or bytes"
    )


def _from_strings(name: str, elements: list[bytes], strings: Strings) -> np.ndarray[Any, Any]:
    array = np.empty(len(elements), object)
    if strings == "bytes":
        array[:] = elements
        return array
    try:
        array[:] = [element.decode() for element in elements]
    except UnicodeDecodeError as error:
        raise TensorTypeError(
            f'output {name!r} is not all UTF-8 text ({error}); take it with strings="bytes"'
        ) from None
    return array


def _bfloat16_bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float32 rounded to the nearest bfloat16, ties to even, as its 16 bits."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Rounding could carry a NaN's bits over into infinity or zero.
    return np.where(np.isnan(array), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def _is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.name == BFLOAT16 and dtype.itemsize == 2


def shorten(value: object, limit: int = 60) -> str:
    """A value as messages show it."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."
