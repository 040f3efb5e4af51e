"""Bytes that are no message, and messages whose tensors are not what they say."""

import random

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from harness import wire_format
from harness.predict import (
    TIMEOUT_SECONDS,
    PredictionClient,
    good_request,
    predict_request,
    refused,
)
from harness.raw_http2 import PREDICT

INVALID = grpc.StatusCode.INVALID_ARGUMENT
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


# Bytes that are no message.


def test_truncated_messages(send_bytes) -> None:
    whole = good_request()
    codes = set()
    for size in range(len(whole)):
        try:
            send_bytes(whole[:size], timeout=TIMEOUT_SECONDS)
            codes.add(grpc.StatusCode.OK)
        except grpc.RpcError as error:
            assert error.details(), size
            codes.add(error.code())
    # Cut between two fields it is a shorter message: no name, no input, no tensor.
    assert codes <= {INVALID, grpc.StatusCode.INTERNAL, grpc.StatusCode.OK}
    assert INVALID in codes


def test_random_messages(send_bytes) -> None:
    source = random.Random(5)
    for _ in range(300):
        body = source.randbytes(source.choice([1, 2, 5, 20, 200, 5000]))
        with pytest.raises(grpc.RpcError) as caught:
            send_bytes(body, timeout=TIMEOUT_SECONDS)
        assert caught.value.code() in (INVALID, grpc.StatusCode.INTERNAL)
        assert caught.value.details()


def test_flipped_bits(send_bytes) -> None:
    source = random.Random(6)
    allowed = {INVALID, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND, EXHAUSTED}
    allowed |= {grpc.StatusCode.FAILED_PRECONDITION}
    for _ in range(300):
        body = bytearray(good_request())
        for _ in range(source.randint(1, 3)):
            body[source.randrange(len(body))] ^= 1 << source.randrange(8)
        try:
            send_bytes(bytes(body), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            assert error.code() in allowed, body


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x0a\xff\xff\xff\xff\x0f", id="field of 4 GiB"),
        pytest.param(b"\x0a" + b"\xff" * 11, id="endless varint"),
        pytest.param(b"\x0b" * 5000, id="groups inside groups"),
        pytest.param(b"\x00\x01", id="field number 0"),
        pytest.param(b"\x0f", id="wire type 7"),
        pytest.param(wire_format.field(1, wire_format.field(1, b"\xff\xfe")), id="name not UTF-8"),
    ],
)
def test_malformed_protobuf(send_bytes, body: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(body, timeout=TIMEOUT_SECONDS)
    assert caught.value.code() in (INVALID, grpc.StatusCode.INTERNAL)
    assert caught.value.details()


def test_messages_inside_messages(send_bytes) -> None:
    """A variant of tensors of variants, ten thousand deep: no stack is that deep."""
    proto = b""
    for _ in range(10_000):
        proto = wire_format.field(15, wire_format.field(3, proto))
    entry = wire_format.field(1, b"x") + wire_format.field(2, proto)
    request = wire_format.field(1, wire_format.field(1, b"half_plus_two"))
    with pytest.raises(grpc.RpcError) as caught:
        send_bytes(request + wire_format.field(2, entry), timeout=TIMEOUT_SECONDS)
    assert caught.value.code() in (INVALID, grpc.StatusCode.INTERNAL)


# Tensors that are not what they say.


def tensor(shape: list[int], **values: object) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, **values)
    for size in shape:
        proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "shape",
    [[-1], [-(2**63)], [2, -3], [1 << 62, 4], [1 << 40, 1 << 40], [(1 << 63) - 1] * 3],
    ids=str,
)
def test_sizes_that_cannot_be(client: PredictionClient, shape: list[int]) -> None:
    with refused(INVALID, "tensor parsing error: x"):
        client.predict("half_plus_two", {"x": tensor(shape, float_val=[1])})


@pytest.mark.parametrize("shape", [[1 << 40], [1 << 20, 1 << 20], [1 << 34]], ids=str)
def test_one_value_for_terabytes(client: PredictionClient, shape: list[int]) -> None:
    """The last value is repeated, says the padding rule: not beyond all bounds."""
    for values in ({"float_val": [1.0]}, {}):
        with pytest.raises(grpc.RpcError) as caught:
            client.predict("half_plus_two", {"x": tensor(shape, **values)})
        assert caught.value.code() in (INVALID, EXHAUSTED)
        assert caught.value.details()


def test_one_string_for_a_billion(client: PredictionClient) -> None:
    proto = tensor([1 << 30])
    proto.dtype = tf.string.as_datatype_enum
    proto.string_val.append(b"again")
    with pytest.raises(grpc.RpcError) as caught:
        client.predict("identity_string", {"x": proto})
    assert caught.value.code() in (INVALID, EXHAUSTED)


def test_strings_where_numbers_go(client: PredictionClient) -> None:
    with refused(INVALID, "Expects arg[0] to be float but string is provided"):
        client.predict("mlp", {"x": np.array([b"1", b"2"], object)})


def test_a_million_inputs(client: PredictionClient) -> None:
    request = predict_request("half_plus_two").SerializeToString()
    entries = (wire_format.field(2, wire_format.field(1, b"i%d" % n)) for n in range(1_000_000))
    body = request + b"".join(entries)
    call = client.channel.unary_unary(PREDICT, request_serializer=None, response_deserializer=None)
    with pytest.raises(grpc.RpcError) as caught:
        call(body, timeout=TIMEOUT_SECONDS)
    assert caught.value.code() is INVALID
    details = caught.value.details()
    assert details.startswith("input size does not match signature: 1000000!=1 len({")
    assert len(details) <= 1024 + len("...TRUNCATED")


def test_a_million_output_names(client: PredictionClient) -> None:
    x = {"x": np.ones(1, np.float32)}
    request = predict_request("half_plus_two", x, outputs=["y"] * 1_000_000)
    with refused(INVALID, "duplicate output tensor alias: y"):
        client.send(request)


def test_one_input_many_times(send_bytes) -> None:
    """A map's key sent twice: protobuf keeps the last."""
    entry = wire_format.field(2, tf.make_tensor_proto(np.float32(0)).SerializeToString())
    many = wire_format.field(2, wire_format.field(1, b"x") + entry) * 1000
    last = predict_request("half_plus_two", {"x": np.float32(4)}).SerializeToString()
    reply = send_bytes(many + last, timeout=TIMEOUT_SECONDS)
    assert list(reply.outputs["y"].float_val) == [5.0]
