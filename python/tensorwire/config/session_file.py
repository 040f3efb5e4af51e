"""Reads a file with TensorFlow's `ConfigProto`, whose definition is in TensorFlow's Python
package; in a process of its own, so that its messages meet no others in this one.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from .text_proto import parse_failure, read_bytes

CHILD_SECONDS = 120.0
"""Far more than it takes, from a slow disk on a busy machine."""

ENCODED_SUFFIX = ".pb"


def read_session_config(path: Path, tensorflow_dir: Path, defaults: bytes) -> bytes:
    """The encoded message: `defaults` (an encoded one) with what the file says.

    Raises ConfigError with the file, and the line and the field where there is one.
    """
    read_bytes(path)
    command = [sys.executable, "-m", __name__, str(path), str(tensorflow_dir), defaults.hex()]
    try:
        child = subprocess.run(  # noqa: S603 (our own module)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CHILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{path} can't be read: TensorFlow's messages did not load within "
            f"{CHILD_SECONDS:.0f} s"
        ) from None
    answer: dict[str, Any] | None = None
    with contextlib.suppress(ValueError, IndexError):
        answer = json.loads(child.stdout.splitlines()[-1])
    if answer is not None and answer["error"] is None:
        return bytes.fromhex(answer["config"])
    if answer is not None:
        raise ConfigError(str(answer["error"]))
    last = child.stderr.decode(errors="replace").strip().splitlines()[-1:]
    raise ConfigError(
        f"{path} can't be read: the process that reads it ended with status "
        f"{child.returncode}{': ' + last[0] if last else ''}"
    )


def _read(path: Path, tensorflow_dir: Path, defaults: bytes) -> bytes:
    # A package with TensorFlow's modules but without its own start: importing that takes
    # seconds, and the messages' modules need nothing of it.
    package = types.ModuleType("tensorflow")
    package.__path__ = [str(tensorflow_dir)]
    sys.modules["tensorflow"] = package
    from google.protobuf import text_format
    from tensorflow.core.protobuf import config_pb2

    config = config_pb2.ConfigProto.FromString(defaults)
    content = read_bytes(path)
    if path.suffix == ENCODED_SUFFIX:
        config.MergeFrom(_decoded(path, content, config_pb2.ConfigProto))
    else:
        try:
            text = content.decode()
            # Twice: once to have what a file must not say told, once so that what it
            # sets to zero takes the place of a default, which a merge would not do.
            text_format.Parse(text, config_pb2.ConfigProto())
            text_format.Merge(text, config)
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{path} is not in protobuf's text format: byte {error.start} is not text; "
                f"an encoded ConfigProto has a name that ends in {ENCODED_SUFFIX}"
            ) from None
        except text_format.ParseError as error:
            raise ConfigError(parse_failure(path, error)) from None
    return bytes(config.SerializeToString())


def _decoded(path: Path, content: bytes, kind: Any) -> Any:
    from google.protobuf.message import DecodeError
    from google.protobuf.unknown_fields import UnknownFieldSet

    try:
        config = kind.FromString(content)
    except DecodeError:
        raise ConfigError(f"{path} is not an encoded ConfigProto") from None
    unknown = [each.field_number for each in UnknownFieldSet(config)]
    if unknown:
        raise ConfigError(
            f"{path} is not an encoded ConfigProto: it has a field {unknown[0]}, which this "
            "TensorFlow's has not"
        )
    return config


def main(arguments: list[str]) -> int:
    """`session_file FILE TENSORFLOW_DIR DEFAULTS`: the child's side. The last line it
    prints is JSON with the message or the error."""
    path, tensorflow_dir, defaults = arguments
    error, config = None, b""
    try:
        config = _read(Path(path), Path(tensorflow_dir), bytes.fromhex(defaults))
    except ConfigError as failure:
        error = str(failure)
    except ImportError as failure:
        error = f"{path} can't be read: TensorFlow's messages can't be imported: {failure}"
    json.dump({"error": error, "config": config.hex()}, sys.stdout)
    return 0 if error is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
