"""What the server computes is what TensorFlow computes, model by model.

The oracle is the same SavedModel, loaded by `tf.saved_model.load` in this process.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request
from harness.server_process import ServerProcess

RANDOM = np.random.default_rng(20)
Inputs = dict[str, np.ndarray]
Oracle = Callable[[str, str, Inputs], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def oracle(models: Path) -> Oracle:
    """TensorFlow's own result of (model, signature, inputs)."""

    @cache
    def load(model: str):
        newest = max((models / model).iterdir(), key=lambda version: int(version.name))
        return tf.saved_model.load(str(newest))

    def run(model: str, signature: str, inputs: Inputs) -> dict[str, np.ndarray]:
        function = load(model).signatures[signature or "serving_default"]
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in function(**tensors).items()}

    return run


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def complexes(dtype: type, *shape: int) -> np.ndarray:
    return (RANDOM.normal(size=shape) + 1j * RANDOM.normal(size=shape)).astype(dtype)


def strings(*values: bytes) -> np.ndarray:
    return np.array(values, object)


def multi(rows: int) -> Inputs:
    return {
        "image": floats(rows, 2, 2),
        "weight": np.array(0.1, np.float64),
        "wanted": RANDOM.integers(0, 2, rows).astype(bool),
        "count": RANDOM.integers(-(2**31), 2**31, (rows, 1)).astype(np.int32),
        "tag": strings(*(f"row {row}".encode() for row in range(rows))),
    }


CASES: list[tuple[str, str, Inputs]] = [
    ("half_plus_two", "", {"x": floats(5)}),
    ("half_plus_two", "scaled", {"x": floats(4), "factor": np.array(3, np.float32)}),
    ("half_plus_two", "summary", {"x": floats(9)}),
    ("half_plus_two", "", {"x": floats(0, 1)}),
    ("half_plus_two", "", {"x": np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)}),
    ("add", "", {"a": floats(7), "b": floats(7)}),
    ("add", "", {"a": floats(7), "b": floats(1)}),
    ("add", "", {"a": floats(0), "b": floats(0)}),
    ("mlp", "", {"x": floats(1, 32)}),
    ("mlp", "", {"x": floats(33, 32)}),
    ("mlp", "", {"x": floats(0, 32)}),
    ("conv", "", {"image": floats(1, 8, 8, 1)}),
    ("conv", "", {"image": floats(17, 8, 8, 1)}),
    ("strings", "", {"text": strings(b"Hello", b"", b"\xff\x00BYTES", "Grüße".encode())}),
    ("strings", "", {"text": strings()}),
    ("shout", "", {"text": strings("größer".encode(), b"!")}),
    ("utf16", "", {"text": strings("é€𝄞".encode(), b"")}),
    ("table", "", {"word": strings(b"plum", b"apple", b"durian", "crème brûlée".encode())}),
    ("table", "reverse", {"id": np.array([3, 0, 99, -1], np.int64)}),
    ("multi", "", multi(1)),
    ("multi", "", multi(6)),
    ("dynamic", "", {"x": np.array(2.5, np.float32)}),
    ("dynamic", "", {"x": floats(3)}),
    ("dynamic", "", {"x": floats(2, 1, 3, 2)}),
    ("dynamic", "", {"x": floats(2, 0, 3)}),
    ("dynamic", "points", {"x": floats(2, 5, 3)}),
    ("ragged_inner", "", {"ids": RANDOM.integers(-9, 9, (2, 3))}),
    ("ragged_inner", "", {"ids": RANDOM.integers(-9, 9, (4, 17))}),
    ("ragged_inner", "", {"ids": RANDOM.integers(-9, 9, (3, 0))}),
    ("complex", "", {"a": complexes(np.complex64, 6), "b": complexes(np.complex64, 6)}),
    ("complex", "wide", {"a": complexes(np.complex128, 6), "b": complexes(np.complex128, 6)}),
    ("no_inputs", "", {}),
    ("scalar", "", {"x": np.array(-1.5, np.float32)}),
    ("broken_signature", "", {"a": floats(3), "b": floats(3)}),
]

# TensorFlow may fuse or order sums differently from one session to another.
ROUNDED = {"mlp", "conv"}


def check(answer: dict[str, np.ndarray], expected: dict[str, np.ndarray], rounded: bool) -> None:
    assert set(answer) == set(expected)
    for name, value in expected.items():
        # TensorFlow gives a scalar string as bytes, which numpy would take for an "S" type.
        wanted = np.asarray(value, object) if isinstance(value, bytes) else np.asarray(value)
        assert answer[name].dtype == wanted.dtype, name
        assert answer[name].shape == wanted.shape, name
        if rounded:
            np.testing.assert_allclose(answer[name], wanted, rtol=2e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(answer[name], wanted)


@pytest.mark.parametrize(
    ("model", "signature", "inputs"),
    CASES,
    ids=[f"{model}-{signature}-{index}" for index, (model, signature, _) in enumerate(CASES)],
)
def test_as_tensorflow_computes_it(
    client: PredictionClient, oracle: Oracle, model: str, signature: str, inputs: Inputs
) -> None:
    answer = client.predict(model, inputs, signature=signature)
    check(answer, oracle(model, signature, inputs), model in ROUNDED)


def test_counter_keeps_its_state_between_requests(client: PredictionClient) -> None:
    def read() -> int:
        return int(client.predict("counter", signature="read")["total"])

    before = read()
    answers = [
        int(client.predict("counter", {"amount": np.array(amount, np.int64)})["total"])
        for amount in (5, -2, 10)
    ]
    assert answers == [before + 5, before + 3, before + 13]
    assert read() == before + 13


def test_a_large_batch(client: PredictionClient, oracle: Oracle) -> None:
    """Well over gRPC's usual limit of 4 MiB, in both directions."""
    inputs = {"x": floats(2_000_000)}
    check(client.predict("half_plus_two", inputs), oracle("half_plus_two", "", inputs), False)
    wide = {"x": floats(40_000, 32)}
    check(client.predict("mlp", wide), oracle("mlp", "", wide), True)


def test_a_message_of_a_hundred_mebibytes(client: PredictionClient) -> None:
    """As tensor_content both ways: far over gRPC's usual limit of 4 MiB."""
    x = np.arange(25 << 20, dtype=np.float32)
    proto = tf.make_tensor_proto(x)
    assert len(proto.tensor_content) == 100 << 20
    metadata = [("tensorwire-encoding", "tensor_content")]
    reply = client.send(predict_request("identity_float", {"x": proto}), metadata=metadata)
    assert reply.outputs["y"].tensor_content == proto.tensor_content


def test_replies_are_not_mixed_up(client: PredictionClient) -> None:
    """Many requests in flight on one connection, each with numbers of its own."""
    calls = {}
    for number in range(1000):
        x = np.full(1 + number % 7, number, np.float32)
        request = predict_request("half_plus_two", {"x": x})
        future = client.prediction.Predict.future
        calls[number] = x, future(request, timeout=TIMEOUT_SECONDS)
    for x, call in calls.values():
        assert list(call.result().outputs["y"].float_val) == list(x * 0.5 + 3)


def test_many_connections(server: ServerProcess) -> None:
    """More connections than I/O threads, all of them in use."""
    clients = [PredictionClient(server.channel()) for _ in range(32)]

    def call(number: int) -> float:
        answer = clients[number % 32].predict("scalar", {"x": np.float32(number)})
        return float(answer["square"])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(call, range(640))) == [float(n * n) for n in range(640)]
