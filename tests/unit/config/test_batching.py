import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pool

from tensorwire import Batching
from tensorwire.errors import ConfigError
from tensorwire.messages import message_type


def test_nothing_is_set_by_default() -> None:
    assert Batching().to_native() == {
        "enabled": True,
        "max_batch_size": None,
        "batch_timeout_micros": None,
        "max_enqueued_batches": None,
        "num_batch_threads": None,
        "allowed_batch_sizes": (),
        "pad_variable_length_inputs": False,
        "enable_large_batch_splitting": False,
        "max_execution_batch_size": None,
    }
    assert Batching.off() == Batching(enabled=False)


def test_sizes_may_be_any_whole_numbers() -> None:
    batching = Batching(max_batch_size=np.int64(8), allowed_batch_sizes=np.array([1, 8]))  # type: ignore[arg-type]
    assert batching == Batching(max_batch_size=8, allowed_batch_sizes=(1, 8))
    assert hash(batching) == hash(Batching(max_batch_size=8, allowed_batch_sizes=(1, 8)))
    assert type(batching.max_batch_size) is int


def test_the_last_allowed_size_is_the_largest_if_none_is_said() -> None:
    assert Batching(allowed_batch_sizes=(2, 4)).max_batch_size == 4


def test_no_enqueued_batches_are_one_as_in_tensorflow_serving() -> None:
    assert Batching(max_enqueued_batches=0).max_enqueued_batches == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_batch_size": 0}, "max_batch_size must be positive; was 0"),
        ({"max_batch_size": "8"}, "max_batch_size is not a whole number: '8'"),
        ({"max_batch_size": True}, "max_batch_size is not a whole number: True"),
        ({"max_batch_size": 2.0}, "max_batch_size is not a whole number: 2.0"),
        ({"max_batch_size": 2**60}, "max_batch_size must be at most 9007199254740992; was"),
        ({"batch_timeout_micros": -1}, "batch_timeout_micros must be non-negative; was -1"),
        ({"max_enqueued_batches": -1}, "max_enqueued_batches must be non-negative; was -1"),
        (
            {"max_enqueued_batches": 0, "enable_large_batch_splitting": True},
            "max_enqueued_batches must be positive; was 0",
        ),
        ({"num_batch_threads": 0}, "num_batch_threads must be positive; was 0"),
        ({"enabled": "off"}, "enabled is neither True nor False: 'off'"),
        ({"allowed_batch_sizes": 4}, "allowed_batch_sizes is not a list of sizes: 4"),
        ({"allowed_batch_sizes": (0, 4)}, "allowed_batch_sizes must be positive; was 0"),
        (
            {"allowed_batch_sizes": (4, 4)},
            "allowed_batch_sizes entries must be monotonically increasing; they are 4, 4",
        ),
        (
            {"max_batch_size": 16, "allowed_batch_sizes": (1, 8)},
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; "
            "expected 16",
        ),
        (
            {"max_batch_size": 8, "max_execution_batch_size": 9},
            "max_execution_batch_size must be at most max_batch_size, 8; was 9",
        ),
    ],
)
def test_what_cannot_be_is_told(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Batching(**values)
    assert says in str(caught.value)


EVERY_FIELD = """
# All the syntax of the text format counts.
max_batch_size { value: 0x40 }
batch_timeout_micros < value: 2000 >;
max_enqueued_batches: { value: 100 },
num_batch_threads { value: 4 }
thread_pool_name { value: "pool" ' of ours' }
allowed_batch_sizes: [8, 32]
allowed_batch_sizes: 64
pad_variable_length_inputs: t
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 16 }
"""


def test_a_file_of_tensorflow_serving(tmp_path: Path) -> None:
    file = tmp_path / "batching.txt"
    file.write_text(EVERY_FIELD)
    assert Batching.from_file(file) == Batching(
        max_batch_size=64,
        batch_timeout_micros=2000,
        max_enqueued_batches=100,
        num_batch_threads=4,
        allowed_batch_sizes=(8, 32, 64),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=16,
    )
    file.write_text("")
    assert Batching.from_file(str(file)) == Batching()
    # A wrapper that is there counts, also with its value left at zero.
    file.write_text("batch_timeout_micros {}")
    assert Batching.from_file(file).batch_timeout_micros == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nmax_batch { value: 1 }", ', line 2: Message type "tensorflow.serving.Batching'),
        ("max_batch_size: 32", ", line 1: "),
        ("max_batch_size { value: 'a' }", ", line 1: "),
        ("max_batch_size { value: 1", ", line 1: "),
        ("max_batch_size { value: -3 }", ": max_batch_size must be positive; was -3"),
        ("allowed_batch_sizes: 2\nmax_batch_size { value: 4 }", ": Last entry in allowed_batch"),
        (b"\xff\xfe", " is not in protobuf's text format: byte 0 is not text"),
        ("#" * (2**24 + 1), " is larger than a configuration may be, 16777216 bytes"),
    ],
)
def test_a_bad_file_is_named_with_the_line(tmp_path: Path, text: str | bytes, says: str) -> None:
    file = tmp_path / "batching.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        Batching.from_file(file)
    assert str(caught.value).startswith(f"{file}{says}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't be read: Is a directory"):
        Batching.from_file(tmp_path)


def test_every_field_but_the_pools_name_is_ours() -> None:
    ours = {each.name for each in dataclasses.fields(Batching)} - {"enabled"}
    theirs = message_type("tensorflow.serving.BatchingParameters").DESCRIPTOR.fields_by_name
    assert ours == set(theirs) - {"thread_pool_name"}


def test_the_default_pool_stays_free_for_the_real_message(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    Batching.from_file(tmp_path / "x")
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("tensorflow.serving.BatchingParameters")
