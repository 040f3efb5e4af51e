import json
import shlex
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from tensorwire.cli.announcement import example_command
from tensorwire.cli.json_output import to_json
from tensorwire.cli.tables import (
    MAX_ROWS,
    describe_signature,
    describe_value,
    output_table,
    signature_table,
    status_table,
)
from tensorwire.signature import ModelStatus, Signature, TensorSpec, VersionStatus


def signature(*inputs: TensorSpec, name: str = "serving_default") -> Signature:
    output = TensorSpec("label", "int64", (None,))
    return Signature(name, "", {each.name: each for each in inputs}, {"label": output})


def text(table: Table) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


IMAGE = TensorSpec("image", "float32", (None, 8, 8))


def test_signatures() -> None:
    optional = TensorSpec("factor", "float32", (), optional=True)
    described = describe_signature(signature(IMAGE, optional))
    assert described == (
        "serving_default: image float32 [?, 8, 8], factor float32 [] (optional) -> label int64 [?]"
    )
    lines = text(signature_table({"a": signature(IMAGE), "__saved_model_init_op": signature()}))
    assert "[?, 8, 8]" in lines
    assert "init_op" not in lines


def test_statuses() -> None:
    versions = (
        VersionStatus(2, "END", "NOT_FOUND", "/gone [red] does not exist"),
        VersionStatus(1, "AVAILABLE"),
    )
    lines = text(status_table({"m": ModelStatus("m", versions), "n": ModelStatus("n", ())}))
    assert "NOT_FOUND: /gone [red] does not exist" in lines
    assert "AVAILABLE" in lines
    assert "no version" in lines


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.int64(7), "7"),
        (np.float32(0.25), "0.25"),
        (np.array([True, False]), "[true, false]"),
        (np.array([b"a", b"\xff"], object), r"[a, \xff]"),
        (np.array("text", object), "text"),
        (np.arange(4).reshape(2, 2), "[[0, 1], [2, 3]]"),
        (np.arange(784), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 784 in all]"),
        (np.zeros((100, 2)), "100 x 2: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ..."),
        (np.zeros((0,)), "[]"),
        (np.complex64(1 + 2j), "(1+2j)"),
    ],
)
def test_values(value: Any, shown: str) -> None:
    assert describe_value(value) == shown


def test_a_batch_is_a_row_each_and_a_long_one_is_cut() -> None:
    outputs = {"label": np.arange(MAX_ROWS + 5), "text": np.array(["[b]"] * (MAX_ROWS + 5))}
    table, left_out = output_table(outputs, batched=True)
    assert (text(table).count("[b]"), left_out) == (MAX_ROWS, 5)
    table, left_out = output_table({"y": np.zeros(2)}, batched=False)
    assert (text(table).count("[0, 0]"), left_out) == (1, 0)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.array([[1.5, 2.0]], np.float32), [[1.5, 2.0]]),
        (np.array([b"a", b"\xff"], object), ["a", {"b64": "/w=="}]),
        (np.array([1 + 2j], np.complex64), [[1.0, 2.0]]),
        (np.array(3), 3),
        (np.array([True]), [True]),
    ],
)
def test_json_values(value: Any, plain: Any) -> None:
    assert to_json(value) == plain
    json.dumps(to_json(value))


@pytest.mark.parametrize(
    ("signatures", "options"),
    [
        ([signature(IMAGE)], ["--input", "image=zeros"]),
        ([signature(TensorSpec("x", "float32", (None, 2)))], ["--input", "x=[[1.0, 1.0]]"]),
        ([signature(TensorSpec("t", "string", (None,)))], ["--input", 't=["some text"]']),
        ([signature(TensorSpec("x", "bool", None))], ["--input", "x=true"]),
        (
            [signature(TensorSpec("n", "int32", ()), name="count")],
            ["--signature", "count", "--input", "n=1"],
        ),
        ([signature(TensorSpec("x", "float32", (), optional=True))], []),
    ],
)
def test_the_command_that_calls_it(signatures: list[Signature], options: list[str]) -> None:
    command = example_command("localhost:1", "m", {each.name: each for each in signatures})
    assert command is not None
    assert shlex.split(command) == ["tensorwire", "predict", "localhost:1", "m", *options]


def test_there_is_no_command_for_what_no_request_carries() -> None:
    signatures = {"serving_default": signature(TensorSpec("v", "variant", ()))}
    assert example_command("localhost:1", "m", signatures) is None


def test_no_command_without_a_signature_that_can_be_called() -> None:
    assert example_command("localhost:1", "m", {}) is None


def test_control_characters_are_shown_escaped() -> None:
    assert describe_value(b"a\x1b[31m\nb\x00") == r"a\x1b[31m\nb\x00"
    assert describe_value(np.array(["\r\u2028", "é ü"], object)) == r"[\r\u2028, é ü]"
