"""Tensors over the wire against TensorFlow's own codecs, for every element type.

The identity models give back what they got, of any shape, so that a difference is one
of encoding or decoding. `tf.io.parse_tensor` is TensorFlow's own reader of a
TensorProto, the one TensorFlow Serving uses.
"""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from harness import wire_format
from harness.elements import (
    ELEMENTS,
    VALUE_FIELDS,
    Element,
    read_typed,
    shape_bytes,
    typed_bytes,
)
from harness.predict import TIMEOUT_SECONDS, PredictionClient, refused

CONTENT = (("tensorwire-encoding", "tensor_content"),)
FIXED = [element for element in ELEMENTS if not element.is_string]
STRING = next(element for element in ELEMENTS if element.is_string)
BY_NAME = {element.name: element for element in ELEMENTS}

shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
few = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
every_element = pytest.mark.parametrize("element", ELEMENTS, ids=lambda element: element.name)
fixed_elements = pytest.mark.parametrize("element", FIXED, ids=lambda element: element.name)


def count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


# Bit patterns that go wrong where a codec goes through another type: signed zeros,
# infinities, quiet and signalling NaNs with payloads, subnormals, extremes.
SPECIAL = {
    "<u2": [0x8000, 0x7C00, 0xFC00, 0x7E01, 0x7C01, 0x7F80, 0xFF81, 0x0001, 0x7F7F],
    "<u4": [0x80000000, 0x7F800000, 0xFF800000, 0x7FC00001, 0x7F800001, 0xFFA5A5A5, 1],
    "<u8": [1 << 63, 0x7FF << 52, 0xFFF << 52, (0x7FF << 52) | 1, 0x7FF8_0000_DEAD_BEEF, 1],
}


@st.composite
def element_bytes(draw: st.DrawFn, element: Element, number: int) -> bytes:
    """That many elements, of any bits that the type can have."""
    if element.name == "bool":
        return bytes(draw(st.lists(st.integers(0, 1), min_size=number, max_size=number)))
    size = element.numpy.itemsize * number
    plain = draw(st.binary(min_size=size, max_size=size))
    word = {1: None, 2: "<u2", 4: "<u4", 8: "<u8", 16: "<u8"}[element.numpy.itemsize]
    if element.name == "complex64":
        word = "<u4"
    if word is None or not size or not draw(st.booleans()):
        return plain
    words = np.frombuffer(plain, word).copy()
    for index in draw(st.lists(st.integers(0, len(words) - 1), max_size=4)):
        words[index] = draw(st.sampled_from(SPECIAL[word]))
    return words.tobytes()


class Identity:
    """Calls an identity model with a TensorProto's wire bytes, gets those of the reply."""

    def __init__(self, channel: grpc.Channel):
        self._call = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=None,
            response_deserializer=None,
        )

    def __call__(self, element: Element, proto: bytes, metadata=()) -> bytes:
        request = wire_format.field(1, wire_format.field(1, f"identity_{element.name}".encode()))
        entry = wire_format.field(1, b"x") + wire_format.field(2, proto)
        request += wire_format.field(2, entry)
        reply = self._call(request, timeout=TIMEOUT_SECONDS, metadata=metadata)
        predict_pb2.PredictResponse.FromString(reply)
        (outputs,) = [content for number, _, content in wire_format.fields(reply) if number == 1]
        parts = {number: content for number, _, content in wire_format.fields(outputs)}
        assert parts[1] == b"y"
        return parts[2]


@pytest.fixture(scope="module")
def identity(channel: grpc.Channel) -> Identity:
    return Identity(channel)


def check_same_values(answer: np.ndarray, expected: np.ndarray) -> None:
    """Equal, NaN where NaN; a NaN's payload does not survive Python's own messages."""
    assert (answer.dtype, answer.shape) == (expected.dtype, expected.shape)
    if expected.dtype == BY_NAME["bfloat16"].numpy:
        # numpy knows no NaN in this type.
        answer, expected = answer.view(np.uint16), expected.view(np.uint16)
        answer, expected = ((bits.astype("<u4") << 16).view("<f4") for bits in (answer, expected))
    np.testing.assert_array_equal(answer, expected)


def check_header(reply: bytes, element: Element, shape: tuple[int, ...]) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto.FromString(reply)
    assert proto.dtype == element.number
    assert proto.HasField("tensor_shape")
    assert tuple(dim.size for dim in proto.tensor_shape.dim) == shape
    assert not proto.tensor_shape.unknown_rank
    return proto


def filled(proto: tensor_pb2.TensorProto) -> set[str]:
    """Which of the fields that can hold elements are there."""
    return {field.name for field, _ in proto.ListFields()} & VALUE_FIELDS


def check_typed(reply: bytes, element: Element, shape: tuple[int, ...], elements: bytes) -> None:
    """The reply has typed values and nothing else, one for each element."""
    proto = check_header(reply, element, shape)
    assert filled(proto) == ({element.field} if elements else set())
    assert len(getattr(proto, element.field)) == count(shape) * element.parts
    assert read_typed(element, reply) == elements
    expected = np.frombuffer(elements, element.numpy).reshape(shape)
    check_same_values(tf.make_ndarray(proto), expected)


def check_content(reply: bytes, element: Element, shape: tuple[int, ...], elements: bytes) -> None:
    """The reply has `tensor_content` and nothing else."""
    proto = check_header(reply, element, shape)
    assert filled(proto) == ({"tensor_content"} if elements else set())
    assert proto.tensor_content == elements
    assert tf.make_ndarray(proto).tobytes() == elements


@fixed_elements
@few
@given(data=st.data())
def test_bits_survive_in_every_encoding(data, identity: Identity, element: Element) -> None:
    shape = data.draw(shapes)
    elements = data.draw(element_bytes(element, count(shape)))
    header = wire_format.number_field(1, element.number) + shape_bytes(shape)
    for values in (wire_format.field(4, elements), typed_bytes(element, elements)):
        check_typed(identity(element, header + values), element, shape, elements)
        check_content(identity(element, header + values, CONTENT), element, shape, elements)


@fixed_elements
@few
@given(data=st.data())
def test_what_make_tensor_proto_makes(data, client: PredictionClient, element: Element) -> None:
    shape = data.draw(shapes)
    elements = data.draw(element_bytes(element, count(shape)))
    array = np.frombuffer(elements, element.numpy).reshape(shape)
    answer = client.predict(f"identity_{element.name}", {"x": tf.make_tensor_proto(array)})["y"]
    check_same_values(answer, array)


@few
@given(data=st.data())
def test_strings_are_bytes_of_any_kind(data, client: PredictionClient) -> None:
    shape = data.draw(shapes)
    number = count(shape)
    strings = data.draw(st.lists(st.binary(max_size=40), min_size=number, max_size=number))
    proto = tensor_pb2.TensorProto(dtype=STRING.number, string_val=strings)
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "identity_string"
    request.inputs["x"].CopyFrom(proto)
    # Strings have no tensor_content form on TensorFlow's side: they stay typed.
    for metadata in ((), CONTENT):
        reply = client.send(request, metadata=metadata).outputs["y"]
        check_header(reply.SerializeToString(), STRING, shape)
        assert list(reply.string_val) == strings
        assert filled(reply) == ({"string_val"} if strings else set())
        assert tf.make_ndarray(reply).tolist() == tf.make_ndarray(proto).tolist()


def test_large_strings_survive(client: PredictionClient) -> None:
    strings = np.array([b"", b"x" * 100, bytes(range(256)) * 20_000, b"\0"], object)
    answer = client.predict("identity_string", {"x": strings})["y"]
    assert answer.tolist() == strings.tolist()


@st.composite
def hand_filled(draw: st.DrawFn, element: Element) -> tensor_pb2.TensorProto:
    """A TensorProto whose values need not fit its shape, nor its type."""
    proto = tensor_pb2.TensorProto(dtype=element.number)
    if draw(st.booleans()):
        proto.tensor_shape.SetInParent()
        for size in draw(shapes):
            proto.tensor_shape.dim.add().size = size
    numbers = {
        "float_val": st.floats(width=32, allow_nan=False),
        "scomplex_val": st.floats(width=32, allow_nan=False),
        "double_val": st.floats(allow_nan=False),
        "dcomplex_val": st.floats(allow_nan=False),
        "half_val": st.integers(0, 0x7BFF),
        "int_val": st.integers(-(2**31), 2**31 - 1),
        "int64_val": st.integers(-(2**63), 2**63 - 1),
        "uint32_val": st.integers(0, 2**32 - 1),
        "uint64_val": st.integers(0, 2**64 - 1),
        "bool_val": st.booleans(),
        "string_val": st.binary(max_size=10),
    }
    for name in {element.field, draw(st.sampled_from(sorted(numbers)))}:
        getattr(proto, name).extend(draw(st.lists(numbers[name], max_size=12)))
    if draw(st.sampled_from([False, False, True])):
        proto.tensor_content = draw(st.binary(max_size=24))
    return proto


def parsed_by_tensorflow(proto: tensor_pb2.TensorProto, element: Element) -> np.ndarray | None:
    """TensorFlow's own reading of it; None where it refuses it."""
    try:
        return tf.io.parse_tensor(proto.SerializeToString(), element.tf).numpy()
    except tf.errors.InvalidArgumentError:
        return None


@every_element
@few
@given(data=st.data())
def test_padding_is_tensorflows(data, client: PredictionClient, element: Element) -> None:
    proto = data.draw(hand_filled(element))
    expected = parsed_by_tensorflow(proto, element)
    model = f"identity_{element.name}"
    if expected is None:
        with refused(grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x"):
            client.predict(model, {"x": proto})
        return
    answer = client.predict(model, {"x": proto})["y"]
    assert answer.shape == np.shape(expected)
    if element.is_string:
        assert answer.tolist() == (expected.tolist() if np.ndim(expected) else expected)
    else:
        assert answer.tobytes() == expected.tobytes()


def proto_of(name: str, shape: list[int] | None, **values: object) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=BY_NAME[name].number, **values)
    if shape is not None:
        proto.tensor_shape.SetInParent()
        for size in shape:
            proto.tensor_shape.dim.add().size = size
    return proto


PADDING = [
    pytest.param("float", proto_of("float", [3], float_val=[1, 2]), [1, 2, 2], id="fewer"),
    pytest.param("float", proto_of("float", [2, 2]), [[0, 0], [0, 0]], id="none"),
    pytest.param("string", proto_of("string", [2]), [b"", b""], id="no strings"),
    pytest.param("string", proto_of("string", [2], string_val=[b"a"]), [b"a", b"a"], id="string"),
    pytest.param("float", proto_of("float", [1], float_val=[1, 2]), [1], id="more"),
    pytest.param("float", proto_of("float", None, float_val=[7]), 7, id="no shape"),
    pytest.param("int8", proto_of("int8", [2], int_val=[-1, 130]), [-1, -126], id="int8"),
    pytest.param("uint8", proto_of("uint8", [1], int_val=[300]), [44], id="uint8"),
    pytest.param("int16", proto_of("int16", [1], int_val=[70000]), [4464], id="int16"),
    pytest.param("uint16", proto_of("uint16", [1], int_val=[-1]), [65535], id="uint16"),
    pytest.param("bool", proto_of("bool", [2], int_val=[1, 1]), [False, False], id="bool"),
    pytest.param(
        "complex64", proto_of("complex64", [2], scomplex_val=[1, 2]), [1 + 2j] * 2, id="complex"
    ),
    pytest.param(
        "float",
        proto_of("float", [1], float_val=[1], tensor_content=np.float32(5).tobytes()),
        [5],
        id="tensor_content wins",
    ),
]


@pytest.mark.parametrize(("name", "proto", "expected"), PADDING)
def test_padding_by_example(client: PredictionClient, name: str, proto, expected) -> None:
    assert client.predict(f"identity_{name}", {"x": proto})["y"].tolist() == expected


UNREADABLE = [
    pytest.param(proto_of("float", [2], tensor_content=b"\0" * 7), id="content too short"),
    pytest.param(proto_of("float", [1], tensor_content=b"\0" * 8), id="content too long"),
    pytest.param(proto_of("float", [-1], float_val=[1]), id="size -1"),
    pytest.param(proto_of("float", [-5], float_val=[1]), id="size -5"),
    pytest.param(proto_of("float", [1 << 62, 1 << 62], float_val=[1]), id="product overflows"),
    pytest.param(proto_of("float", [1] * 255, float_val=[1]), id="rank 255"),
    pytest.param(tensor_pb2.TensorProto(float_val=[1]), id="no dtype"),
]


@pytest.mark.parametrize("proto", UNREADABLE)
def test_what_tensorflow_cannot_read(client: PredictionClient, proto) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "tensor parsing error: x"):
        client.predict("identity_float", {"x": proto})
