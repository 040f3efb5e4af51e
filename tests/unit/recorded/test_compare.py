"""Where a reply differs from the one that was recorded."""

from typing import Any

import numpy as np
import pytest

from tensorwire.messages import new_message
from tensorwire.recorded.compare import Difference, compare_messages, compare_tensors
from tensorwire.tensors import encode


def reply(**outputs: Any) -> bytes:
    """An encoded PredictResponse; float32, int64 or strings."""
    message = new_message("tensorflow.serving.PredictResponse")
    for name, value in outputs.items():
        array = np.asarray(value)
        tensor = message.outputs[name]
        for size in array.shape:
            tensor.tensor_shape.dim.add(size=size)
        if array.dtype.kind == "f":
            tensor.dtype = 1
            tensor.float_val.extend(array.reshape(-1).tolist())
        elif array.dtype.kind == "i":
            tensor.dtype = 9
            tensor.int64_val.extend(array.reshape(-1).tolist())
        else:
            tensor.dtype = 7
            tensor.string_val.extend(array.reshape(-1).tolist())
    encoded: bytes = message.SerializeToString()
    return encoded


def compare(old: dict[str, Any], new: dict[str, Any], tolerance: float = 1e-5) -> list[Difference]:
    answered = [encode(name, np.asarray(value)) for name, value in new.items()]
    return compare_tensors(reply(**old), answered, tolerance)


FLOATS = np.array([[1, 2], [3, np.nan]], np.float32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FLOATS, FLOATS),
        (FLOATS, FLOATS * np.float32(1 + 5e-6)),
        (np.array([np.inf, -0.0], np.float32), np.array([np.inf, 0], np.float32)),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
        (np.array([1, 2]), np.array([1, 2])),
        (np.array([b"a", b"\xff"]), np.array([b"a", b"\xff"])),
        (np.float32(2), np.float32(2)),
    ],
)
def test_alike(old: Any, new: Any) -> None:
    assert compare({"y": old}, {"y": new}) == []


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (FLOATS, np.array([[1, 2], [3, 4]], np.float32), "[1, 1]: nan was recorded, 4.0 answered"),
        (
            np.array([1.0, 2.0], np.float32),
            np.array([1.5, 2.5], np.float32),
            "[0]: 1.0 was recorded, 1.5 answered (and 1 more elements)",
        ),
        (np.array([5]), np.array([6]), "[0]: 5 was recorded, 6 answered"),
        (np.array([b"a"]), np.array([b"b"]), "[0]: b'a' was recorded, b'b' answered"),
        (np.float32(2), np.float32(3), "2.0 was recorded, 3.0 answered"),
        (np.array([1]), np.array([1], np.float32), "int64 was recorded, float32 answered"),
        (np.array([1]), np.array([[1]]), "shape [1] was recorded, [1, 1] answered"),
    ],
)
def test_different(old: Any, new: Any, what: str) -> None:
    assert compare({"y": old}, {"y": new}) == [Difference("y", what)]


def test_outputs_that_come_and_go() -> None:
    assert compare({"a": np.array([1])}, {"b": np.array([1])}) == [
        Difference("a", "was recorded, and not answered"),
        Difference("b", "was answered, and not recorded"),
    ]


def test_classes() -> None:
    def response(score: float, label: str, model: str = "m") -> Any:
        message = new_message("tensorflow.serving.ClassificationResponse")
        message.model_spec.name = model
        found = message.result.classifications.add().classes.add()
        found.label, found.score = label, score
        return message

    assert compare_messages(response(0.5, "a"), response(0.500001, "a", "other"), 1e-5) == []
    assert compare_messages(response(0.0, "a"), response(1e-9, "a"), 1e-5) == []
    (score, label) = compare_messages(response(0.5, "a"), response(0.75, "b"), 1e-5)[::-1]
    place = "result.classifications[0].classes[0]"
    assert score == Difference(f"{place}.score", "0.5 was recorded, 0.75 answered")
    assert label == Difference(f"{place}.label", "'a' was recorded, 'b' answered")


def test_not_a_number_is_like_itself() -> None:
    def response(score: float, label: str = "") -> Any:
        message = new_message("tensorflow.serving.ClassificationResponse")
        found = message.result.classifications.add().classes.add()
        found.label, found.score = label, score
        return message

    for score in (np.nan, np.inf, -np.inf):
        assert compare_messages(response(score), response(score), 1e-5) == []
        (found,) = compare_messages(response(score), response(0.5), 1e-5)
        assert found.what.endswith("was recorded, 0.5 answered")
    assert compare_messages(response(1, "NaN"), response(1, "NaN"), 1e-5) == []
