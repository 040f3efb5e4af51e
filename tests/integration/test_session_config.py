"""What a session is told, as TensorFlow's own Python reads it, and the files that say it."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2

from tensorwire import _core
from tensorwire.config import load_config
from tensorwire.config.session_file import read_session_config
from tensorwire.errors import ConfigError
from tensorwire.model import open_engine
from tensorwire.tensorflow_location import find_tensorflow

DEFAULTS = """
allow_soft_placement: true
gpu_options { allow_growth: true }
experimental { optimize_for_static_graph: true disable_output_partition_graphs: true }
"""


def parsed(text: str) -> config_pb2.ConfigProto:
    return text_format.Parse(text, config_pb2.ConfigProto())


def told(**settings: Any) -> config_pb2.ConfigProto:
    engine = open_engine(load_config(settings, {}).engine)
    return config_pb2.ConfigProto.FromString(engine.session_config)


def read(path: Path) -> config_pb2.ConfigProto:
    defaults = _core.Engine.default_session_config()
    return config_pb2.ConfigProto.FromString(
        read_session_config(path, find_tensorflow(None), defaults)
    )


def test_without_settings_it_is_the_defaults() -> None:
    assert told() == parsed(DEFAULTS)
    defaults = _core.Engine.default_session_config()
    assert config_pb2.ConfigProto.FromString(defaults) == parsed(DEFAULTS)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"intra_op_threads": 3}, "intra_op_parallelism_threads: 3"),
        ({"inter_op_threads": 4}, "inter_op_parallelism_threads: 4"),
        ({"gpu_memory_fraction": "25%"}, "gpu_options { per_process_gpu_memory_fraction: 0.25 }"),
        (
            {"xla": True},
            "graph_options { optimizer_options { global_jit_level: ON_2 cpu_global_jit: true } }",
        ),
        (
            {"xla": "gpu"},
            "graph_options { optimizer_options { global_jit_level: ON_2 cpu_global_jit: false } }",
        ),
        (
            {"mixed_precision": "bfloat16"},
            "graph_options { rewrite_options { auto_mixed_precision_onednn_bfloat16: ON } }",
        ),
        ({"xla": False}, "graph_options { optimizer_options { global_jit_level: OFF } }"),
    ],
)
def test_a_setting_is_added_to_the_defaults(settings: dict[str, Any], text: str) -> None:
    assert told(**settings) == text_format.Merge(text, parsed(DEFAULTS))


def test_gpu_memory_may_be_taken_at_once() -> None:
    assert told(gpu_memory_growth="off").gpu_options.allow_growth is False


def test_a_text_file_is_added_to_the_defaults_and_flags_to_it(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    text = """
        # Nested, repeated and mapped.
        device_count { key: "CPU" value: 1 }
        intra_op_parallelism_threads: 5
        inter_op_parallelism_threads: 6
        gpu_options < visible_device_list: "0", per_process_gpu_memory_fraction: .5 >
    """
    file.write_text(text)
    expected = text_format.Merge(text, parsed(DEFAULTS))
    assert told(session_config_file=file) == expected
    expected.intra_op_parallelism_threads = 0
    expected.gpu_options.per_process_gpu_memory_fraction = 0.75
    told_both = told(session_config_file=file, intra_op_threads=0, gpu_memory_fraction=0.75)
    assert told_both == expected


def test_a_text_file_can_take_a_default_back(tmp_path: Path) -> None:
    file = tmp_path / "session.txt"
    file.write_text("allow_soft_placement: false gpu_options { allow_growth: false }")
    config = read(file)
    assert not config.allow_soft_placement
    assert not config.gpu_options.allow_growth
    assert config.experimental.optimize_for_static_graph


def test_an_encoded_file(tmp_path: Path) -> None:
    file = tmp_path / "session.pb"
    given = config_pb2.ConfigProto(operation_timeout_in_ms=9, log_device_placement=True)
    file.write_bytes(given.SerializeToString())
    expected = parsed(DEFAULTS)
    expected.MergeFrom(given)
    assert read(file) == expected


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "x.txt",
            b"\n\nintra_op: 1",
            ', line 3: Message type "tensorflow.ConfigProto" has no field',
        ),
        ("x.txt", b"intra_op_parallelism_threads: 'a'", ", line 1: "),
        ("x.txt", b"gpu_options { allow_growth: 7 }", ", line 1: "),
        ("x.txt", b"graph_options {", ", line 1: "),
        (
            "x.txt",
            b"\xff\xfe\x00",
            " is not in protobuf's text format: byte 0 is not text; an enc",
        ),
        ("x.pb", b"\xff\xff\xff", " is not an encoded ConfigProto"),
        ("x.pb", b"allow_growth: true", " is not an encoded ConfigProto"),
        ("x.pb", b"\xca\x3e\x01a", " is not an encoded ConfigProto: it has a field 1001, which"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}{says}")
    assert "\n" not in str(caught.value)


def test_a_file_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        read(tmp_path / "gone.txt")


def test_a_tensorflow_without_its_messages_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(ConfigError, match="messages can't be imported: No module named"):
        read_session_config(tmp_path / "x.txt", tmp_path, b"")


def test_options_that_the_core_does_not_know_are_refused() -> None:
    options = json.loads(load_config({}, {}).engine.to_native(find_tensorflow(None)))
    for path in ([], ["session"], ["limits"], ["measuring"]):
        wrong = json.loads(json.dumps(options))
        place = wrong
        for key in path:
            place = place[key]
        place["surprise"] = 1
        with pytest.raises(_core.NativeError) as caught:
            _core.Engine(json.dumps(wrong))
        assert caught.value.args[0] == "INVALID_ARGUMENT"
        assert "the engine's options: unknown field `surprise`" in caught.value.args[1]
