import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from tensorwire.cli.inputs import InputReader
from tensorwire.cli.wanted import WantedInput


def wanted(dtype: Any, *shape: int | None, name: str = "x") -> WantedInput:
    return WantedInput(name, np.dtype(dtype), shape)


def reader(*inputs: WantedInput, stdin: bytes = b"") -> InputReader:
    return InputReader({each.name: each for each in inputs}, stdin=io.BytesIO(stdin))


def read(text: str, spec: WantedInput, stdin: bytes = b"") -> np.ndarray:
    (array,) = reader(spec, stdin=stdin).read([text]).values()
    assert array.dtype == spec.dtype
    return array


FLOATS = wanted("float32", None, 2)
PAIR = (wanted("float32", None, name="a"), wanted("int64", None, name="b"))


def test_json_text() -> None:
    assert read("[[1, 2], [3, 4.5]]", FLOATS).tolist() == [[1, 2], [3, 4.5]]
    assert read("x=[1, 2]", FLOATS).tolist() == [1, 2]
    assert read('{"x": [1, 2]}', FLOATS).tolist() == [1, 2]
    assert read("3", wanted("int64")).tolist() == 3
    assert read("[true, false]", wanted("bool", None)).tolist() == [True, False]
    assert np.isnan(read("NaN", wanted("float64")))


def test_several_inputs() -> None:
    expected = {"a": [1.0], "b": [2]}
    for given in (["a=[1]", "b=[2]"], ['{"a": [1], "b": [2]}']):
        arrays = reader(*PAIR).read(given)
        assert {name: array.tolist() for name, array in arrays.items()} == expected
        assert arrays["b"].dtype == np.int64


def test_text_for_string_inputs() -> None:
    text = wanted(object, None)
    assert read("hello world", text).tolist() == b"hello world"
    assert read('["a", "b"]', text).tolist() == [b"a", b"b"]
    assert read('{"b64": "/w=="}', text).tolist() == b"\xff"
    assert read("-", text, stdin=b"\xff\x00").tolist() == b"\xff\x00"
    assert read("zeros", text).tolist() == b"zeros"


def test_fillings() -> None:
    spec = wanted("float32", None, 3)
    assert read("zeros", spec).tolist() == [[0, 0, 0]]
    assert read("ones", spec).tolist() == [[1, 1, 1]]
    random = read("random", spec)
    assert ((random >= 0) & (random < 1)).all()
    assert random.tolist() == read("random", spec).tolist()
    assert read("random", wanted("uint8", None, 99)).max() <= 9


def test_numpy_files(tmp_path: Path) -> None:
    array = np.array([[1.0, 2.0]], np.float64)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", x=array)
    (tmp_path / "data").write_bytes((tmp_path / "a.npy").read_bytes())
    for name in ("a.npy", "a.npz"):
        assert read(f"x={tmp_path / name}", FLOATS).tolist() == [[1, 2]]
        assert read(f"@{tmp_path / name}", FLOATS).tolist() == [[1, 2]]
        assert read("-", FLOATS, stdin=(tmp_path / name).read_bytes()).tolist() == [[1, 2]]


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("[[5, 6]]")
    assert read(str(path), FLOATS).tolist() == [[5, 6]]
    assert read("-", FLOATS, stdin=b" [[5, 6]]\n").tolist() == [[5, 6]]


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("width,height\n1,2\n3,4\n\n")
    assert read(str(path), FLOATS).tolist() == [[1, 2], [3, 4]]
    assert read("-", FLOATS, stdin=b"1, 2\n3, 4\n").tolist() == [[1, 2], [3, 4]]
    assert read("-", wanted("int64", None), stdin=b"7\n8\n").tolist() == [7, 8]
    assert read("-", wanted("float32", None, 2, 2), stdin=b"1,2,3,4\n").shape == (1, 2, 2)
    assert read("-", wanted("bool", None, 2), stdin=b"true,0\n").tolist() == [[True, False]]
    (tmp_path / "named.csv").write_text("b,a\n1,2.5\n3,4.5\n")
    arrays = reader(*PAIR).read([f"@{tmp_path / 'named.csv'}"])
    assert {name: each.tolist() for name, each in arrays.items()} == {"a": [2.5, 4.5], "b": [1, 3]}


def test_a_batch_dimension_is_added_only_where_it_is_all_that_lacks() -> None:
    for shape, added in (((2,), True), ((1, 2), False), ((), False)):
        array, was_added = FLOATS.add_batch(np.zeros(shape))
        assert was_added is added
        assert array.shape == ((1, *shape) if added else shape)


@pytest.mark.parametrize(
    ("spec", "text", "says"),
    [
        (FLOATS, "[1, 2", "'[1, 2' is neither a file nor JSON"),
        (FLOATS, "[[1], [2, 3]]", "its lists have different lengths"),
        (FLOATS, '"text"', "the input x can't be made of this (float32 [?, 2])"),
        (wanted("uint8", None), "[300]", "300 out of bounds for uint8"),
        (wanted("int32", None), "[1.5]", "not all whole numbers that fit int32"),
        (FLOATS, "@/nowhere/x.npy", "/nowhere/x.npy can't be read: No such file"),
        (FLOATS, "-", "standard input is not JSON"),
        (wanted(object, None), '{"b64": "!"}', "its b64 can't be decoded"),
    ],
)
def test_values_that_do_not_fit(spec: WantedInput, text: str, says: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        read(text, spec)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["c=[1]"], "the model has no input 'c'; its inputs are: a, b"),
        (['{"a": 1, "c": 1}'], "the model has no input 'c'"),
        (["[1]"], "say which input this is, as NAME=VALUE"),
        (["a=1", "a=2"], "the input a was given twice"),
    ],
)
def test_inputs_that_are_not_named_rightly(given: list[str], says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        reader(*PAIR).read(given)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.bin", b"\x00\x01", "is of no kind that can be read"),
        ("a.npy", b"\x93NUMPY\x01", "can't be read as numpy data"),
        ("a.npz", b"PK\x03\x04", "can't be read as numpy data"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"\xff\xfe", "is neither text nor"),
        ("a.csv", b"", "the CSV input is empty"),
        ("a.csv", b"1,2\n3\n", "row 2 of the CSV input has 1 values, the first has 2"),
        ("a.csv", b"1,2\n3,x\n", "the CSV input is not all float32"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(click.BadParameter) as caught:
        read(f"@{path}", FLOATS)
    assert says in caught.value.message


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object))
    with pytest.raises(click.BadParameter, match="allow_pickle"):
        read(f"@{tmp_path / 'a.npy'}", FLOATS)


def test_numbers_survive_json() -> None:
    value = 0.1 + 0.2
    assert read(json.dumps([value]), wanted("float64", None)).tolist() == [value]
