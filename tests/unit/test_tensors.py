"""numpy arrays and Python values to the core's tensors and back."""

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tensorwire import dtypes, tensors
from tensorwire.errors import TensorTypeError
from tensorwire.signature import Signature, TensorSpec

FIXED = sorted(set(dtypes.NUMBERS) - {dtypes.STRING})


@pytest.fixture
def without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    dtypes.bfloat16.cache_clear()
    yield
    dtypes.bfloat16.cache_clear()


def spec(dtype: str) -> TensorSpec:
    return TensorSpec("x", dtype, None)


def round_trip(array: Any) -> np.ndarray[Any, Any]:
    return tensors.decode(tensors.encode("x", array))


@pytest.mark.parametrize("dtype", FIXED)
def test_elements_are_little_endian_bytes(dtype: str) -> None:
    wanted = dtypes.numpy_dtype(dtype)
    array = np.arange(6).reshape(2, 3).astype(wanted)
    name, number, shape, elements = tensors.encode("x", array)
    assert (name, number, shape) == ("x", dtypes.NUMBERS[dtype], (2, 3))
    assert isinstance(elements, np.ndarray)
    assert elements.dtype == np.uint8 and elements.flags.c_contiguous
    assert elements.tobytes() == array.astype(array.dtype.newbyteorder("<")).tobytes()
    back = tensors.decode(("x", number, shape, elements))
    assert back.dtype == wanted
    np.testing.assert_array_equal(back, array)


@given(
    st.sampled_from(["float16", "float32", "float64", "int64", "uint16", "complex64", "bool"]),
    st.data(),
)
def test_any_values_shape_and_layout_come_back(dtype: str, data: st.DataObject) -> None:
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
    layouts = [array, np.asfortranarray(array), array[..., ::-1] if array.ndim else array]
    if array.dtype.itemsize > 1:
        layouts.append(array.astype(array.dtype.newbyteorder(">")))
    for layout in layouts:
        back = round_trip(layout)
        assert back.shape == layout.shape
        # By bytes: NaNs are to keep their bits.
        assert back.tobytes() == layout.astype(dtype).tobytes()


def test_layouts() -> None:
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    for layout in [
        array.transpose(2, 0, 1),
        array[:, ::2, 1:],
        np.broadcast_to(array[0, 0], (5, 4)),
        np.asfortranarray(array),
        array.astype(">i4"),
        np.array(7, np.int32),
        np.int32(7),
        np.zeros((0, 3), np.int32),
        array[0].view(np.matrix),
    ]:
        np.testing.assert_array_equal(round_trip(layout), np.asarray(layout))


def test_what_numpy_makes_an_array_of() -> None:
    class Tensor:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return np.array([1, 2], np.int16)

    assert tensors.encode("x", Tensor())[1] == dtypes.NUMBERS["int16"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([b"a\0", "ü"], object), [b"a\0", "ü".encode()]),
        (np.array(["ab", "ü"]), [b"ab", "ü".encode()]),
        (np.array([b"ab", b"\xff"]), [b"ab", b"\xff"]),
        (["a", b"\0"], [b"a", b"\0"]),
        ("text", [b"text"]),
        (b"a\0\0", [b"a\0\0"]),
        (np.array([[], []], object), []),
    ],
)
def test_strings(value: Any, expected: list[bytes]) -> None:
    _, number, shape, elements = tensors.encode("s", value, spec("string"))
    assert number == dtypes.NUMBERS["string"]
    assert elements == expected
    assert shape == np.shape(np.asarray(value, object))


def test_strings_come_back_as_asked() -> None:
    wire = ("s", 7, (2, 1), ["ü".encode(), b""])
    as_bytes = tensors.decode(wire)
    assert as_bytes.dtype == object and as_bytes.tolist() == [["ü".encode()], [b""]]
    assert tensors.decode(wire, "str").tolist() == [["ü"], [""]]
    with pytest.raises(TensorTypeError, match=r"output 's' is not all UTF-8.*strings=\"bytes\""):
        tensors.decode(("s", 7, (1,), [b"\xff"]), "str")


def test_outputs_are_writable_and_their_own() -> None:
    source = np.zeros(4, np.float32)
    back = round_trip(source.copy())
    back[0] = 1
    assert back.flags.writeable and back.flags.aligned


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([1, 2], "float32", np.float32([1, 2])),
        ([[1.5]], "float16", np.float16([[1.5]])),
        (3, "int8", np.int8(3)),
        ([255], "uint8", np.uint8([255])),
        ([2**64 - 1], "uint64", np.uint64([2**64 - 1])),
        ([True], "bool", np.bool_([True])),
        ([True, False], "int32", np.int32([1, 0])),
        ([1j, 2], "complex64", np.complex64([1j, 2])),
        ([], "int64", np.int64([])),
        ([[], []], "string", np.empty((2, 0), object)),
        ([1e300, float("inf")], "float64", np.array([1e300, np.inf])),
        ([float("inf"), float("nan")], "float32", np.float32([np.inf, np.nan])),
        ([1.0, 2.5], "bfloat16", np.array([1, 2.5], ml_dtypes.bfloat16)),
        ([np.float64(1.5)], "float32", np.float32([1.5])),
        (np.float64(1.5), "float32", np.float32(1.5)),
        (np.int64(7), "uint8", np.uint8(7)),
        (np.bool_(True), "float32", np.float32(1)),
        (np.float32(0.1), "float32", np.float32(0.1)),
        (ml_dtypes.bfloat16(1.5), "bfloat16", np.array(1.5, ml_dtypes.bfloat16)),
        (ml_dtypes.bfloat16(1.5), "float32", np.float32(1.5)),
        (range(3), "float32", np.float32([0, 1, 2])),
        (np.array(1.5), "float32", np.array(1.5)),
        (np.array([1, 2]), "float32", np.array([1, 2])),
    ],
)
def test_python_values_become_what_the_signature_wants(
    value: Any, dtype: str, expected: Any
) -> None:
    name, number, shape, _ = wire = tensors.encode("x", value, spec(dtype))
    # Arrays, of no dimensions too, go as they are.
    if isinstance(value, np.ndarray):
        dtype = value.dtype.name
    assert (name, number, shape) == ("x", dtypes.NUMBERS[dtype], expected.shape)
    np.testing.assert_array_equal(tensors.decode(wire), expected)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        ([1.5], "int32", "input 'x' is int32, got [1.5]"),
        ([256], "uint8", "input 'x' is uint8, from 0 to 255, got 256"),
        (-1, "uint64", "input 'x' is uint64, from 0 to 18446744073709551615, got -1"),
        ([2**70], "int64", f"input 'x' is int64, got [{2**70}]"),
        ([1e300], "float32", "got 1e+300"),
        (np.float64(1e300), "float32", "got 1e+300"),
        (np.int64(300), "uint8", "input 'x' is uint8, from 0 to 255, got 300"),
        (np.float64(1.5), "int32", "input 'x' is int32, got "),
        (np.datetime64("2020-01-01"), "float32", "input 'x' is float32, got "),
        (range(255, 257), "uint8", "from 0 to 255, got 256"),
        ([70000], "float16", "from -65504.0 to 65504.0, got 70000"),
        ([1e39], "bfloat16", "got 1e+39"),
        ([1], "bool", "input 'x' is bool, got [1]"),
        (["1"], "float32", "input 'x' is float32, got ['1']"),
        ([1], "string", "input 'x' is string, got [1]"),
        (["a", 1], "string", "has an element 1; strings must be str or bytes"),
        ([[1], [1, 2]], "float32", "input 'x' is no array"),
        ([["a"], ["b", "c"]], "string", "input 'x' has an element ['a']; strings must be"),
        (["\ud800"], "string", "text that is not UTF-8"),
        ([None], "float32", "input 'x' is float32, got [None]"),
        ([1], "resource", "of type resource, which no request carries"),
    ],
)
def test_python_values_that_do_not_fit(value: Any, dtype: str, message: str) -> None:
    with pytest.raises(TensorTypeError) as raised:
        tensors.encode("x", value, spec(dtype))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array(["2020-01-01"], "datetime64[D]"), "input 'x' has dtype datetime64[D]"),
        (np.array([1], "timedelta64[s]"), "input 'x' has dtype timedelta64[s]"),
        (np.zeros(1, np.longdouble), "input 'x' has dtype"),
        (np.zeros(1, [("a", int)]), "input 'x' has dtype"),
        (np.zeros(1, ml_dtypes.float8_e4m3fn), "input 'x' has dtype float8_e4m3fn"),
        (np.array([1, None], object), "has an element 1; strings must be str or bytes"),
        (np.ma.masked_array([1, 2], [0, 1]), "masked array"),
        (object(), "input 'x' is of type object"),
        (None, "input 'x' is of type NoneType"),
        ({1: 2}, "input 'x' is of type dict"),
    ],
)
def test_values_that_no_tensor_has(value: Any, message: str) -> None:
    with pytest.raises(TensorTypeError) as raised:
        tensors.encode("x", value)
    assert message in str(raised.value)


def test_bfloat16_without_ml_dtypes_is_float32(without_ml_dtypes: None) -> None:
    array = np.array([1.5, -0.0, np.inf, 3.0e38, 1e-40], ml_dtypes.bfloat16)
    wire = tensors.encode("x", array)
    assert wire[1] == dtypes.NUMBERS["bfloat16"]
    back = tensors.decode(wire)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array.astype(np.float32))


@given(st.lists(st.floats(width=32)))
def test_bfloat16_is_rounded_as_ml_dtypes_rounds(values: list[float]) -> None:
    wanted = np.array(values, np.float32).astype(ml_dtypes.bfloat16)
    bits = tensors._bfloat16_bits(np.array(values, np.float32))
    got = bits.view(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(got.astype(np.float32), wanted.astype(np.float32))


def test_lists_become_bfloat16_without_ml_dtypes(without_ml_dtypes: None) -> None:
    wire = tensors.encode("x", [[1.0], [2.5]], spec("bfloat16"))
    assert wire[1:3] == (dtypes.NUMBERS["bfloat16"], (2, 1))
    np.testing.assert_array_equal(tensors.decode(wire), np.float32([[1], [2.5]]))


def test_signature_reads_well() -> None:
    signature = Signature.from_tuple(
        (
            "serving_default",
            "tensorflow/serving/predict",
            [("x", "x:0", 1, (-1, 28)), ("k", "k:0", 3, ()), ("any", "a:0", 7, None)],
            [("y", "y:0", 99, (2,))],
            ["k"],
        )
    )
    assert str(signature) == (
        "serving_default(any: string of any shape, k: int32[], x: float32[?, 28]) "
        "-> (y: dtype 99[2])"
    )
    assert signature.inputs["k"].optional and not signature.inputs["x"].optional
    assert signature.inputs["any"].numpy_dtype == np.dtype(object)
    assert signature.outputs["y"].numpy_dtype is None
