"""The text service, by a client generated from the contract its users have.

Whatever goes wrong, the call's own status is OK and `error_message` has one sentence.
"""

import json
import math
import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf

from harness.server_process import model_arguments
from harness.text_client import TextClient

Ask = Callable[[str, str], object]


@pytest.fixture
def ask(text_client: TextClient) -> Ask:
    """(model, text) to the prediction, read as JSON."""

    def run(model: str, text: str) -> object:
        prediction, error = text_client.ask(text, model)
        assert error == ""
        return json.loads(prediction)

    return run


@pytest.fixture
def fails(text_client: TextClient) -> Callable[[str | None, str], str]:
    """(model, text) to the error message: one sentence, nothing of our insides."""

    def run(model: str | None, text: str) -> str:
        prediction, error = text_client.ask(text, model)
        assert prediction == ""
        assert error.strip()
        assert "\n" not in error
        assert len(error) <= 1024
        for inside in ("panicked", "ServeError", "Traceback", "unwrap", "Some(", "Err("):
            assert inside not in error
        return error

    return run


# Texts for models of one string.


@pytest.mark.parametrize("text", ["hello", "", "[1, 2]", '{"b64": "AA=="}', "  grüße \n", "1"])
def test_a_string_model_gets_the_text_itself(ask: Ask, text: str) -> None:
    assert ask("shout", text) == tf.strings.upper(text, "utf-8").numpy().decode() + "!"


def test_several_outputs_of_a_string_model(ask: Ask) -> None:
    assert ask("strings", "Hello") == {"joined": "Hello", "length": 5, "lower": "hello"}


def test_a_word_in_a_table(ask: Ask) -> None:
    assert ask("table", "plum") == 2
    assert ask("table", "durian") == -1


def test_bytes_that_are_not_text(ask: Ask) -> None:
    assert ask("utf16", "é") == {"b64": "AOk="}


# JSON for models of numbers.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2, 5]", [3.5, 4.0, 5.5]),
        ("4", 5.0),
        ("-1e1", -2.0),
        ("[]", []),
        (" [ 1.5 ]\n", [3.75]),
        ('{"x": [2]}', [4.0]),
    ],
)
def test_numbers(ask: Ask, text: str, expected: object) -> None:
    """A number is one less in rank than [None]: a batch of one, and back."""
    assert ask("half_plus_two", text) == expected


def test_one_row_or_many(ask: Ask, models: Path) -> None:
    oracle = tf.saved_model.load(str(models / "mlp" / "1")).signatures["serving_default"]
    rows = np.random.default_rng(1).normal(size=(2, 32)).astype(np.float32)
    expected = oracle(x=tf.constant(rows))["y"].numpy()
    one = ask("mlp", json.dumps(rows[0].tolist()))
    assert np.shape(one) == (1,)
    np.testing.assert_allclose(one, expected[0], rtol=1e-5)
    two = ask("mlp", json.dumps(rows.tolist()))
    assert np.shape(two) == (2, 1)
    np.testing.assert_allclose(two, expected, rtol=1e-5)


def test_an_image_with_two_outputs(ask: Ask) -> None:
    image = np.zeros((8, 8, 1)).tolist()
    answer = ask("conv", json.dumps(image))
    assert set(answer) == {"logits", "probabilities"}
    assert np.shape(answer["probabilities"]) == (10,)
    assert math.isclose(sum(answer["probabilities"]), 1, rel_tol=1e-5)
    batch = ask("conv", json.dumps([image, image]))
    assert np.shape(batch["probabilities"]) == (2, 10)


def test_a_scalar_model(ask: Ask) -> None:
    assert ask("scalar", "3") == 9.0


def test_unknown_rank_is_taken_as_it_is(ask: Ask) -> None:
    answer = ask("dynamic", "[[1, 2], [3, 4]]")
    assert answer["doubled"] == [[2, 4], [6, 8]]
    assert (answer["rank"], answer["shape"]) == (2, [2, 2])


def test_several_inputs(ask: Ask) -> None:
    assert ask("add", '{"a": [1, 2], "b": [10, 20]}') == [11, 22]
    assert ask("add", '{"b": 2, "a": 1}') == 3


def test_several_inputs_of_different_types(ask: Ask) -> None:
    request = {
        "image": [[[1, 2], [3, 4]]],
        "weight": 2,
        "wanted": [True],
        "count": [[7]],
        "tag": ["a"],
    }
    assert ask("multi", json.dumps(request)) == {
        "transposed": [[[1, 3], [2, 4]]],
        "total": [20],
        "refused": [False],
        "doubled": [[14]],
        "label": ["a-7"],
        "rows": 1,
    }


def test_defaults_fill_in(ask: Ask) -> None:
    assert ask("defaults", '{"x": [1]}') == [12]
    assert ask("defaults", '{"x": [1], "offset": 0}') == [2]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
def test_whole_numbers(ask: Ask, dtype: str) -> None:
    limits = np.iinfo(dtype)
    numbers = [int(limits.min), 0, int(limits.max)]
    assert ask(f"identity_{dtype}", json.dumps(numbers)) == numbers


def test_the_widest_whole_numbers(ask: Ask) -> None:
    """Beyond what a double holds exactly."""
    assert ask("identity_int64", str([-(2**63), 2**63 - 1])) == [-(2**63), 2**63 - 1]
    assert ask("identity_uint64", str([2**64 - 1, 0])) == [2**64 - 1, 0]


def test_floats_come_back_exactly(ask: Ask) -> None:
    numbers = [0.1, 1e-320, 1.7976931348623157e308, -0.0, 3.0]
    answer = ask("identity_double", json.dumps(numbers))
    assert list(map(str, map(float, answer))) == list(map(str, numbers))
    narrow = ask("identity_float", json.dumps([0.1]))
    assert np.float32(narrow[0]) == np.float32(0.1)


def test_truth_values(ask: Ask) -> None:
    assert ask("identity_bool", "[true, false]") == [True, False]


# Errors.


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[1, 2", "[1,]", "{", "nul", "[1] 2", "'1'", "[1 2]", "\x00", "[" * 100_000],
)
def test_text_that_is_not_json(fails, text: str) -> None:
    fails("half_plus_two", text)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("half_plus_two", '["one", "two"]'),
        ("half_plus_two", "[null]"),
        ("half_plus_two", "null"),
        ("half_plus_two", "[true]"),
        ("half_plus_two", "[[1, 2], [3]]"),
        ("half_plus_two", "[1, [2]]"),
        ("half_plus_two", '{"z": [1]}'),
        ("half_plus_two", "{}"),
        ("half_plus_two", '{"x": [1], "z": [1]}'),
        ("add", "[1, 2]"),
        ("add", '{"a": [1]}'),
        ("add", '{"a": [1], "b": [1], "c": [1]}'),
        ("add", '{"a": [1, 2], "b": [1, 2, 3]}'),
        ("identity_uint8", "[256]"),
        ("identity_uint8", "[-1]"),
        ("identity_int32", "[1.5]"),
        ("identity_int32", str([2**31])),
        ("identity_int64", str([2**63])),
        ("identity_bool", "[1]"),
        ("mlp", json.dumps([0.0] * 31)),
        ("mlp", "3"),
        ("fill", str(2**42)),
    ],
)
def test_json_that_does_not_fit(fails, model: str, text: str) -> None:
    fails(model, text)


def test_the_error_names_what_is_wrong(fails) -> None:
    assert "x" in fails("half_plus_two", '{"z": [1]}')
    assert "b" in fails("add", '{"a": [1]}')
    assert "256" in fails("identity_uint8", "[256]")
    assert "31" in fails("mlp", json.dumps([0.0] * 31))


def test_no_such_model(fails) -> None:
    assert "nowhere" in fails("nowhere", "1")


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("m" * 3000, "1"),
        ("half_plus_two", "x" * 1_000_000),
        ("half_plus_two", json.dumps({"z" * 5000: 1})),
        ("half_plus_two", json.dumps(["word" * 5000])),
    ],
    ids=["model", "text", "name", "value"],
)
def test_what_is_quoted_is_short(fails, model: str, text: str) -> None:
    fails(model, text)


def test_which_of_several_models(fails) -> None:
    """None was named: it says so and how to name one."""
    message = fails(None, "1")
    assert "model" in message


def test_a_request_of_megabytes(text_client: TextClient) -> None:
    prediction, error = text_client.ask(json.dumps([1.0] * 1_000_000), "half_plus_two")
    assert error == ""
    assert json.loads(prediction) == [3.5] * 1_000_000


# Which model.


def test_the_only_model_needs_no_name(models: Path, start, text_modules) -> None:
    process = start(*model_arguments({"shout": models / "shout"})).wait_serving()
    only = TextClient(*text_modules, process.channel())
    assert only.ask("hi") == ('"HI!"', "")
    assert only.ask("hi", "shout") == ('"HI!"', "")
    prediction, error = only.ask("hi", "other")
    assert prediction == ""
    assert "other" in error
    process.stop()


def test_a_default_model(models: Path, start, text_modules) -> None:
    served = {"shout": models / "shout", "half_plus_two": models / "half_plus_two"}
    process = start(*model_arguments(served), "--default-model", "half_plus_two").wait_serving()
    client = TextClient(*text_modules, process.channel())
    assert json.loads(client.ask("2")[0]) == 4.0
    assert client.ask("hi", "shout") == ('"HI!"', "")
    process.stop()


def test_the_seeds_own_client(
    models: Path,
    start,
    text_modules: tuple[ModuleType, ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client program as its users have it, but for the port and the text."""
    process = start(*model_arguments({"shout": models / "shout"})).wait_serving()
    program = (Path(__file__).parent.parent / "golden" / "text_client.py").read_text()
    script = tmp_path / "client.py"
    script.write_text(program.replace("localhost:50051", process.address))
    messages, stubs = text_modules
    monkeypatch.setitem(__import__("sys").modules, "prediction_service_pb2", messages)
    monkeypatch.setitem(__import__("sys").modules, "prediction_service_pb2_grpc", stubs)
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out == 'Prediction: "MY INPUT DATA!"\n'
    process.stop()
