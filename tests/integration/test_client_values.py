"""Values to a server that is not ours and back, in every element type."""

from typing import Any

import ml_dtypes  # noqa: F401 (bfloat16 outputs come in its dtype)
import numpy as np
import pytest
import tensorflow as tf
from stub_server import MODEL, VERSION, StubServer

import tensorwire as tw
from tensorwire import dtypes
from tensorwire.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    TensorTypeError,
)

FIXED = sorted(set(dtypes.NUMBERS) - {dtypes.STRING})


def test_numbers_are_tensorflows() -> None:
    for name, number in dtypes.NUMBERS.items():
        assert tf.as_dtype(name).as_datatype_enum == number


@pytest.mark.parametrize("dtype", FIXED)
@pytest.mark.parametrize("shape", [(), (0, 2), (3,), (2, 3, 4)])
def test_every_type(client: tw.Client, dtype: str, shape: tuple[int, ...]) -> None:
    wanted = dtypes.numpy_dtype(dtype)
    array = (np.arange(np.prod(shape, dtype=int)) % 2).reshape(shape).astype(wanted)
    output = client.predict(MODEL, {"x": array})["x"]
    assert output.dtype == wanted and output.flags.writeable
    np.testing.assert_array_equal(output, array)


LAYOUTS = {
    "in order": np.arange(6, dtype=np.int32).reshape(2, 3),
    "in Fortran's order": np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    "every second": np.arange(12, dtype=np.float64)[::2],
    "backwards": np.arange(6, dtype=np.int64)[::-1],
    "of the other byte order": np.arange(6, dtype=">f4"),
    "not aligned": np.frombuffer(b"_" + bytes(range(16)), np.float32, offset=1),
    "read-only": np.frombuffer(bytes(range(16)), np.uint16),
    "of odd bools": np.frombuffer(b"\0\1\2\xff", np.bool_),
    "a subclass": np.arange(4, dtype=np.float32).view(np.recarray),
    "long long": np.arange(4, dtype=np.longlong),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_short_way_and_the_long_one_agree(client: tw.Client, layout: str) -> None:
    array = LAYOUTS[layout]
    short = client.predict(MODEL, {"x": array})["x"]
    long = client.predict(MODEL, {"x": array}, metadata={})["x"]
    assert short.dtype == long.dtype and short.shape == long.shape == array.shape
    np.testing.assert_array_equal(short, long)
    np.testing.assert_array_equal(short, array)


@pytest.mark.parametrize("outputs", [None, [], ["b"], ("b", "a"), ["a", "nope"]])
def test_outputs_come_in_the_same_order_both_ways(client: tw.Client, outputs: Any) -> None:
    arrays = {"b": np.ones(2, np.int64), "a": np.ones(2, np.float32), "s": np.array([b"t"])}
    short = client.predict(MODEL, {name: arrays[name] for name in "ba"}, outputs=outputs)
    long = client.predict(
        MODEL, {name: arrays[name] for name in "ba"}, outputs=outputs, metadata={}
    )
    assert list(short) == list(long)


def test_wrong_arguments_are_told_the_same_way(client: tw.Client) -> None:
    array = np.ones((1, 2), np.float32)
    for arguments in [
        {"version": True},
        {"version": -1},
        {"outputs": "x"},
        {"outputs": [1]},
        {"signature": 1},
        {"timeout": -1},
    ]:
        told = []
        for way in ({}, {"metadata": {}}):
            with pytest.raises(InvalidArgumentError) as raised:
                client.predict(MODEL, {"x": array}, **arguments, **way)
            told.append(str(raised.value))
        assert told[0] == told[1]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_special_floats(client: tw.Client, dtype: str) -> None:
    values = [np.nan, np.inf, -np.inf, -0.0, 1e-7]
    array = np.array(values, np.float32).astype(dtypes.numpy_dtype(dtype))
    assert client.predict(MODEL, {"x": array})["x"].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint64", [0, 2**64 - 1]),
        ("int8", [-128, 127]),
        ("complex128", [complex(1, -2), complex(0, np.inf)]),
    ],
)
def test_extremes(client: tw.Client, dtype: str, values: list[Any]) -> None:
    array = np.array(values, dtype)
    np.testing.assert_array_equal(client.predict(MODEL, {"x": array})["x"], array)


def test_strings(client: tw.Client) -> None:
    array = np.array([["ü", b"\xff\0"], ["", b""]], object)
    output = client.predict(MODEL, {"s": array})["s"]
    assert output.tolist() == [["ü".encode(), b"\xff\0"], [b"", b""]]
    output = client.predict(MODEL, {"s": np.array(["ü"])}, strings="str")["s"]
    assert output.dtype == object and output.tolist() == ["ü"]


def test_layouts(client: tw.Client) -> None:
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    inputs = {
        "fortran": np.asfortranarray(array),
        "strided": array[::2, ::-1],
        "big": array.astype(">f4"),
        "transposed": array.T,
    }
    outputs = client.predict(MODEL, inputs)
    assert list(outputs) == sorted(inputs)
    for name, value in inputs.items():
        np.testing.assert_array_equal(outputs[name], value)


def test_larger_than_grpcs_usual_limit(server: StubServer, client: tw.Client) -> None:
    array = np.arange(3_000_000, dtype=np.float32)
    np.testing.assert_array_equal(client.predict(MODEL, {"x": array})["x"], array)


def test_message_limit_of_the_client(server: StubServer) -> None:
    with tw.Client(server.address, max_message_bytes=1000) as client:
        with pytest.raises(tw.errors.ResourceExhaustedError, match="max_message_bytes allows"):
            client.predict(MODEL, {"x": np.zeros(300, np.float32)})
        assert not server.calls
        # 100 varints of ten bytes each: small as content, too long as typed values.
        with pytest.raises(tw.errors.ResourceExhaustedError, match="max_message_bytes allows"):
            client.predict(MODEL, {"x": np.full(100, -1, np.int64)})


def test_python_values_take_the_signatures_types(server: StubServer, client: tw.Client) -> None:
    assert client.predict(MODEL, {"x": [[1, 2]]})["x"].dtype == np.float32
    assert client.predict(MODEL, [[1, 2.5]])["x"].tolist() == [[1, 2.5]]
    assert client.predict(MODEL, 3, signature="whole")["n"].dtype == np.int32
    assert client.predict(MODEL, 3, signature="small")["n"].dtype == np.uint8
    assert client.predict(MODEL, [True], signature="switch")["b"].dtype == np.bool_
    assert client.predict(MODEL, "hi", signature="text", strings="str")["s"].item() == "hi"
    assert client.predict(MODEL, [0.5], signature="half")["h"].dtype.name == "bfloat16"
    outputs = client.predict(MODEL, {"a": [1], "b": np.int64([2])}, signature="two")
    assert (outputs["a"].dtype, outputs["b"].dtype) == (np.float32, np.int64)
    # Asked for once and remembered.
    assert server.metadata_calls == 1


def test_arrays_need_no_signature(server: StubServer, client: tw.Client) -> None:
    client.predict(MODEL, {"x": np.ones((1, 2))})
    assert server.metadata_calls == 0
    assert len(server.calls) == 1


def test_signatures_are_asked_for_again_after_invalid_argument(
    server: StubServer, client: tw.Client
) -> None:
    import grpc
    from stub_server import Refusal

    client.predict(MODEL, [[1, 2]])
    server.signatures = {"serving_default": {"y": (tf.float64, [None])}}
    server.refusals.append(Refusal(grpc.StatusCode.INVALID_ARGUMENT, "input size"))
    with pytest.raises(InvalidArgumentError, match="input size"):
        client.predict(MODEL, [[1, 2]])
    assert client.predict(MODEL, [1])["y"].dtype == np.float64
    assert server.metadata_calls == 2


def test_one_value_for_several_inputs(client: tw.Client) -> None:
    with pytest.raises(InvalidArgumentError, match=r"2 inputs \(a, b\); give a mapping"):
        client.predict(MODEL, [1], signature="two")


def test_missing_signature(client: tw.Client) -> None:
    with pytest.raises(FailedPreconditionError, match="no signature 'best'; there is 'half'"):
        client.predict(MODEL, [1], signature="best")


def test_value_of_the_wrong_type_names_the_input(server: StubServer, client: tw.Client) -> None:
    with pytest.raises(TensorTypeError, match="input 'x' is float32, got 'a'"):
        client.predict(MODEL, {"x": "a"})
    with pytest.raises(InvalidArgumentError, match="named by strings, not by 1"):
        client.predict(MODEL, {1: np.ones(1)})
    assert not server.calls


def test_request_says_what_was_asked(server: StubServer, client: tw.Client) -> None:
    inputs = {"a": np.ones(1), "b": np.ones(2)}
    outputs = client.predict(MODEL, inputs, version=3, signature="s", outputs=["b", "a"])
    assert list(outputs) == ["b", "a"]
    client.predict(MODEL, inputs, label="stable")
    client.predict(MODEL, inputs)
    specs = [call.request.model_spec for call in server.calls]
    assert [spec.WhichOneof("version_choice") for spec in specs] == [
        "version",
        "version_label",
        None,
    ]
    assert (specs[0].name, specs[0].version.value, specs[0].signature_name) == (MODEL, 3, "s")
    assert specs[1].version_label == "stable"
    assert list(server.calls[0].request.output_filter) == ["b", "a"]
    assert server.calls[0].request.inputs["a"].tensor_content
    assert server.calls[0].metadata["tensorwire-encoding"] == "tensor_content"


def test_version_or_label(client: tw.Client) -> None:
    with pytest.raises(InvalidArgumentError, match="version 1 and label 'x' are both given"):
        client.predict(MODEL, {}, version=1, label="x")
    with pytest.raises(InvalidArgumentError, match=r"write \['y'\]"):
        client.predict(MODEL, {}, outputs="y")


def test_metadata(client: tw.Client) -> None:
    described = client.metadata(MODEL)
    assert (described.name, described.version) == (MODEL, VERSION)
    assert str(described.signatures["two"]) == (
        "two(a: float32[?], b: int64[?]) -> (a: float32[?], b: int64[?])"
    )
    assert described.signatures["whole"].inputs["n"].shape is None
    assert described.signatures["small"].inputs["n"].shape == ()
    assert described.signatures["serving_default"].inputs["x"].tensor_name == "x:0"


def test_status(client: tw.Client) -> None:
    status = client.status(MODEL)
    assert str(status) == (
        "echo: version 3: AVAILABLE, version 1: END (NOT_FOUND: its directory is gone)"
    )
    assert status.available and not status.versions[1].available
