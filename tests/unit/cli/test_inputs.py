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
        (wanted("uint8", None), "[300]", "300 is out of the range of uint8, 0 to 255"),
        (wanted("int32", None), "[1.5]", "not all whole numbers that fit int32"),
        (FLOATS, "@/nowhere/x.npy", "/nowhere/x.npy can't be read: No such file"),
        (FLOATS, "[1e40]", "1e+40 is out of the range of float32, -3.4028"),
        (
            wanted("float16", None),
            "[1, -7e4]",
            "-70000.0 is out of the range of float16, -65504.0",
        ),
        (FLOATS, f"[{10**40}]", "1e+40 is out of the range of float32"),
        (wanted("int64", None), f"[{2**63}]", f"{2**63} is out of the range of int64"),
        (wanted("int32", None), "[NaN]", "not all whole numbers that fit int32"),
        (FLOATS, "[null]", "null is no number"),
        (FLOATS, '[{"q": 1}]', "is no number"),
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
        ("a.bin", b"\x00\x01", "is neither text nor of another kind that can be read"),
        ("a.npy", b"\x93NUMPY\x01", "can't be read as numpy data"),
        ("a.npz", b"PK\x03\x04", "can't be read as numpy data"),
        ("a.json", b"{", "is not JSON"),
        ("a.json", b"\xff\xfe", "is neither text nor"),
        ("a.csv", b"", "the CSV input is empty"),
        ("a.csv", b"1,2\n3\n", "row 2 of the CSV input has 1 values, the first has 2"),
        ("a.csv", b"1,2\n3,x\n", "row 2, column 2 of the CSV input: 'x' is not the float32 value"),
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


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "row 1, column 1 of the CSV input: 'hello' is not the float32 value"),
        ("1;2", "'1;2' is not the float32 value that is expected; commas separate values"),
        ("1,2\n,4\n", "row 2, column 1 of the CSV input: it is empty"),
        ("1,\n3,4\n", "row 1, column 2 of the CSV input: it is empty"),
        (",\n3,4\n", "row 1, column 1 of the CSV input: it is empty"),
        ("a,2\n3,4\n", "row 1, column 1 of the CSV input: 'a' is not"),
        ("w,h\n3,4\n5,1e40\n", "row 3, column 2 of the CSV input: 1e+40 is out of the range"),
        ("1,2\n\n3,4\n", "row 2 of the CSV input is empty"),
        ("a,b\nc,d\n1,2\n", "row 2, column 1 of the CSV input: 'c' is not"),
    ],
)
def test_no_row_of_a_csv_is_lost(text: str, says: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        read("x=-", FLOATS, stdin=text.encode())
    assert says in caught.value.message


def test_csv_cells_keep_their_value() -> None:
    spec = wanted("int64", None)
    assert read("-", spec, stdin=b"9007199254740993\n1.0\n").tolist() == [2**53 + 1, 1]
    assert read("-", wanted(object, None), stdin=b"a\nb\n").tolist() == b"a\nb\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2\n3,4\n", "has to be a title line with their names, a, b"),
        ("hello", "has to be a title line with their names, a, b"),
        ("a,b\n", "has titles and no row below them"),
        ("a,b,a\n1,2,3\n", "has the column 'a' twice"),
        ("a,b\n1,2.5\n", "row 2, column 2 of the CSV input: its numbers are not all whole"),
        ("a,c\n1,2\n", "the model has no input 'c'"),
    ],
)
def test_csv_for_several_inputs_needs_titles(text: str, says: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        reader(*PAIR, stdin=text.encode()).read(["-"])
    assert says in caught.value.message


def test_an_input_takes_one_array(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    np.savez(path, q=np.ones(2))
    stdin = b'{"q": [1], "r": [2]}'
    for given, says in {
        f"x={path}": f"{path} holds the array q; the input x takes one array",
        f"x=@{path}": f"{path} holds the array q; the input x takes one array",
        "x=-": "standard input holds the arrays q, r; the input x takes one array",
        'x={"q": 1}': "the JSON object holds the array q; the input x takes one array",
        "x={}": "the JSON object holds no array; the input x takes one array",
    }.items():
        with pytest.raises(click.UsageError) as caught:
            reader(FLOATS, stdin=stdin).read([given])
        assert caught.value.message == says


def test_numbers_of_files_are_not_wrapped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([300]))
    with pytest.raises(click.BadParameter, match="300 is out of the range of uint8, 0 to 255"):
        read(f"@{tmp_path / 'a.npy'}", wanted("uint8", None))


def test_a_file_of_another_ending(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("1,2\n3,4\n")
    with pytest.raises(click.BadParameter, match=f"give it as @{path}"):
        read(str(path), FLOATS)
    assert read(f"@{path}", FLOATS).tolist() == [[1, 2], [3, 4]]


def test_empty_standard_input() -> None:
    for given in ("-", "a=-"):
        with pytest.raises(click.UsageError) as caught:
            reader(*PAIR, stdin=b" \n").read([given])
        assert caught.value.message == "no input was given; the model's inputs are a, b"
