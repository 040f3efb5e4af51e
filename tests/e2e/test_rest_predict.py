"""`:predict` against TensorFlow itself: values, forms, encodings, and what is refused."""

import base64
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.rest import RestClient
from harness.server_process import ServerProcess

MANY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def rest(server: ServerProcess) -> Iterator[RestClient]:
    with RestClient(server.port) as client:
        yield client


@pytest.fixture(scope="module")
def loaded(models: Path):
    """TensorFlow's own answer: `loaded(name, **inputs)` runs the default signature."""
    known: dict[str, Any] = {}

    def run(name: str, **inputs: Any) -> dict[str, np.ndarray]:
        if name not in known:
            [folder] = [each for each in (models / name).iterdir() if each.name.isdigit()][-1:]
            known[name] = tf.saved_model.load(str(folder))
        signature = known[name].signatures["serving_default"]
        _, specs = signature.structured_input_signature
        tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in signature(**tensors).items()}

    return run


def test_several_inputs_and_outputs_in_rows(rest: RestClient, loaded) -> None:
    rows = [
        {"a": 1.5, "b": -2.0},
        {"b": 1e3, "a": 0},
    ]
    [wanted] = loaded("add", a=[1.5, 0.0], b=[-2.0, 1e3]).values()
    assert rest.predict("add", {"instances": rows}) == wanted.tolist()
    assert rest.predict("add", {"inputs": {"a": [1.5, 0], "b": [-2, 1e3]}}) == wanted.tolist()


def test_objects_of_outputs(rest: RestClient, loaded) -> None:
    texts = ["Ä b", "", '😀\n"C"']
    wanted = loaded("strings", text=texts)
    columns = rest.predict("strings", {"inputs": texts})
    assert columns.keys() == wanted.keys()
    assert columns["length"] == wanted["length"].tolist()
    assert columns["joined"] == wanted["joined"].decode()
    assert [text.encode() for text in columns["lower"]] == wanted["lower"].tolist()
    answer = rest.post("strings", {"instances": texts})
    assert (answer.status, answer.error) == (400, "Tensor name: joined has no shape information ")


def test_scalars(rest: RestClient) -> None:
    assert rest.predict("scalar", {"inputs": 3}) == 9.0
    assert rest.predict("scalar", {"inputs": {"x": 3}}) == 9.0


def test_a_network(rest: RestClient, loaded) -> None:
    rows = np.random.default_rng(4).normal(size=(7, 32)).astype(np.float32)
    [wanted] = loaded("mlp", x=rows).values()
    got = rest.predict("mlp", {"instances": rows.tolist()})
    np.testing.assert_allclose(np.array(got, np.float32), wanted, rtol=1e-5)


@MANY
@given(values=st.lists(st.lists(FLOATS, min_size=2, max_size=2), min_size=1, max_size=5))
def test_floats_there_and_back(rest: RestClient, values: list[list[float]]) -> None:
    for form in ("instances", "inputs"):
        answer = rest.post("identity_float", {form: values})
        assert answer.status == 200
        [got] = answer.json.values()
        assert np.array_equal(np.array(got, np.float32), np.array(values, np.float32))
        # Shortest, and never like an integer.
        for value in np.array(got).flat:
            assert isinstance(value, float)
            shortest = np.format_float_scientific(np.float32(value), unique=True)
            assert value == float(shortest)


@MANY
@given(
    text=st.from_regex(
        r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
    )
)
def test_numbers_as_pythons_json_reads_them(rest: RestClient, text: str) -> None:
    answer = rest.post("identity_double", f'{{"inputs": [{text}]}}')
    [got] = answer.json["outputs"]
    assert got == float(json.loads(text)) or math.isinf(got)


@MANY
@given(texts=st.lists(st.text(), min_size=1, max_size=4), ascii_only=st.booleans())
def test_strings_there_and_back(rest: RestClient, texts: list[str], ascii_only: bool) -> None:
    texts = [text.encode(errors="replace").decode() for text in texts]
    body = json.dumps({"instances": texts}, ensure_ascii=ascii_only)
    assert rest.post("identity_string", body).json == {"predictions": texts}


@MANY
@given(values=st.lists(st.binary(max_size=20), min_size=1, max_size=4))
def test_bytes_there_and_back(rest: RestClient, values: list[bytes]) -> None:
    encoded = [{"b64": base64.b64encode(value).decode()} for value in values]
    got = rest.predict("identity_string", {"instances": encoded})

    def decoded(value: Any) -> bytes:
        return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()

    assert [decoded(value) for value in got] == values


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("half", [0.1, -2.0, 60000.0]),
        ("bfloat16", [0.1, -2.0, 1e30]),
        ("float", [0.1, 1e38]),
        ("double", [0.1, 1e300]),
        ("int8", [-128, 127]),
        ("int16", [-32768, 32767]),
        ("int32", [-(2**31), 2**31 - 1]),
        ("int64", [-(2**63), 2**63 - 1]),
        ("uint8", [0, 255]),
        ("uint16", [0, 65535]),
        ("uint32", [0, 2**32 - 1]),
        ("uint64", [0, 2**64 - 1]),
        ("bool", [True, False]),
    ],
)
def test_every_type(rest: RestClient, dtype: str, values: list[Any]) -> None:
    assert rest.predict(f"identity_{dtype}", {"instances": values}) == values
    assert rest.predict(f"identity_{dtype}", {"inputs": [values, values]}) == [values, values]


def test_what_json_has_no_number_for(rest: RestClient) -> None:
    body = '{"inputs": [NaN, Infinity, -Infinity, Inf, 1e39, -1e39, 1e-60]}'
    answer = rest.post("identity_float", body)
    assert answer.body == (b'{"outputs":[NaN,Infinity,-Infinity,Infinity,Infinity,-Infinity,0.0]}')


def test_bytes_that_are_no_text(rest: RestClient) -> None:
    got = rest.predict("utf16", {"instances": ["Ā"]})
    assert got == ["\x01\x00"]
    got = rest.predict("utf16", {"instances": ["é", "ÿ"]})
    assert got == [{"b64": base64.b64encode(text.encode("utf-16-be")).decode()} for text in "éÿ"]


def test_empty_rows(rest: RestClient) -> None:
    assert rest.predict("identity_float", {"instances": [[], []]}) == [[], []]
    assert rest.predict("identity_float", {"inputs": []}) == []


def test_no_inputs(rest: RestClient) -> None:
    """TensorFlow Serving has no way to ask such a model over REST."""
    for body in ('{"inputs": {}}', '{"inputs": {}, "signature_name": "serving_default"}'):
        answer = rest.post("no_inputs", body)
        assert answer.json == {"outputs": {"answer": 42, "primes": [2, 3, 5, 7]}}


def test_signatures(rest: RestClient) -> None:
    body = {"signature_name": "scaled", "inputs": {"x": [2.0], "factor": 10}}
    assert rest.predict("half_plus_two", body) == [40.0]
    # Also where the name comes after the values.
    answer = rest.post(
        "half_plus_two", '{"inputs": {"x": [2], "factor": 10}, "signature_name": "scaled"}'
    )
    assert answer.json == {"outputs": [40.0]}


ROW = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: {}"


@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("half_plus_two", "", "JSON Parse error: The document is empty"),
        ("half_plus_two", " ", "JSON Parse error: The document is empty. at offset: 1"),
        ("half_plus_two", "{", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("half_plus_two", '{"instances": [1,]}', "JSON Parse error: Invalid value. at offset: 17"),
        ("half_plus_two", "[]", "JSON Value: [] Is not object"),
        ("half_plus_two", "{}", "Missing 'inputs' or 'instances' key"),
        (
            "half_plus_two",
            '{"signature_name": 1}',
            "JSON Value: {\"signature_name\": 1} not formatted correctly. 'signature_name' key "
            "must be a string value.",
        ),
        (
            "half_plus_two",
            '{"signature_name": "foo"}',
            'Serving signature name: "foo" not found in signature def',
        ),
        (
            "half_plus_two",
            '{"inputs": 1, "instances": 1}',
            'JSON Value: {"inputs": 1, "instances": 1} Not formatted correctly expecting only '
            "one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "half_plus_two",
            '{"instances": 1}',
            "JSON Value: {\"instances\": 1} Expecting 'instances' to be an list/array",
        ),
        (
            "half_plus_two",
            '{"instances": []}',
            "JSON Value: {\"instances\": []} No values in 'instances' array",
        ),
        (
            "half_plus_two",
            '{"instances": ["x"]}',
            ROW.format(0, 'JSON Value: "x" Type: String is not of expected type: float'),
        ),
        (
            "half_plus_two",
            '{"instances": [{"k": 1}]}',
            "Failed to process element: 0 key: k of 'instances' list. Error: INVALID_ARGUMENT: "
            "JSON object: does not have named input: k",
        ),
        (
            "add",
            '{"instances": [{"a": 1}]}',
            "Failed to process element: 0 of 'instances' list. JSON object: {\"a\": 1} keys must "
            "be equal to: a,b",
        ),
        (
            "add",
            '{"instances": [1]}',
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map",
        ),
        ("add", '{"inputs": {"a": [1]}}', "Missing named input: b in 'inputs' object."),
        (
            "half_plus_two",
            '{"instances": [[1, 2], [3]]}',
            ROW.format(1, "Expecting tensor size: 2 but got: 1"),
        ),
        (
            "half_plus_two",
            '{"instances": [[1], [[2]]]}',
            ROW.format(1, "Expecting shape [1] but got: [1,1]"),
        ),
        (
            "half_plus_two",
            '{"inputs": [[1, 2], [3]]}',
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
        ),
        (
            "half_plus_two",
            '{"inputs": [1, [2]]}',
            "Encountered list at unexpected level: 1 expected < 1",
        ),
        ("identity_string", '{"inputs": {"b64": "?"}}', "Unable to base64 decode"),
        (
            "identity_int32",
            '{"inputs": 1.0}',
            "JSON Value: 1.0 Type: Number is not of expected type: int32",
        ),
        (
            "identity_bool",
            '{"inputs": 1}',
            "JSON Value: 1 Type: Number is not of expected type: bool",
        ),
    ],
)
def test_what_is_refused(rest: RestClient, model: str, body: str, error: str) -> None:
    answer = rest.post(model, body)
    assert (answer.status, answer.error) == (400, error)


def test_complex_numbers_are_not_offered(rest: RestClient) -> None:
    answer = rest.post("identity_complex64", '{"inputs": [0]}')
    assert answer.status == 501
    assert answer.error == "Conversion of JSON Value: 0 to type: complex64"


def test_the_body_is_looked_at_before_the_model(rest: RestClient) -> None:
    assert rest.post("none", "{").error.startswith("JSON Parse error: ")
    assert rest.post("none", '{"instances": "?"}').status == 404


def test_the_models_own_errors(rest: RestClient) -> None:
    answer = rest.post("mlp", {"instances": [[1.0, 2.0]]})
    assert answer.status == 400
    assert answer.error.startswith("Matrix size-incompatible: In[0]: [1,2]")


def test_broken_bodies_of_any_bytes(rest: RestClient, rng_seed: int = 5) -> None:
    whole = b'{"signature_name": "pair", "instances": [{"a": [1, 2.5e3], "b": "\\u00e9"}]}'
    generator = np.random.default_rng(rng_seed)
    for _ in range(300):
        body = bytearray(whole)
        for at in generator.integers(0, len(body), size=3):
            body[at] = generator.integers(0, 256)
        answer = rest.post("add", bytes(body[: generator.integers(1, len(body) + 1)]))
        assert answer.status == 400
        assert answer.error
