"""Reads TensorFlow Serving's text-format `BatchingParameters`, from a message type of our
own making: the pip package of its protocol lacks it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from tensorwire.errors import ConfigError

from .text_proto import read_text_proto

PER_MODEL_FILE = "batching_params.pbtxt"
"""Its name in the folder of a model's version."""

_FIELDS = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "allowed_batch_sizes": (6, None),
    "pad_variable_length_inputs": (7, None),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}
"""Names, numbers and wrapper messages; None: a field that is a plain value."""

_NAMES_A_THREAD_POOL = "thread_pool_name"


def read_batching(path: Path) -> dict[str, Any]:
    """The values that the file gives, by their names in `Batching`.

    Raises ConfigError with the file and the line if it can't be read.
    """
    try:
        message = _message_type()()
    except ImportError as error:
        raise ConfigError(
            f"{path} can't be read without protobuf: pip install 'tensorwire[server]'"
        ) from error
    message = read_text_proto(path, message)
    values: dict[str, Any] = {}
    for name, (_, wrapper) in _FIELDS.items():
        # The pool's name is for TensorFlow Serving's own records; it changes nothing.
        if name == _NAMES_A_THREAD_POOL:
            continue
        if wrapper is None:
            values[name] = getattr(message, name)
        elif message.HasField(name):
            values[name] = getattr(message, name).value
    values["allowed_batch_sizes"] = tuple(values["allowed_batch_sizes"])
    return values


@functools.cache
def _message_type() -> Any:
    """`tensorflow.serving.BatchingParameters`, in a pool of its own: whoever has the real
    one in this process keeps it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, (number, wrapper) in _FIELDS.items():
        field = message.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
        if wrapper is not None:
            field.type, field.type_name = kinds.TYPE_MESSAGE, f".google.protobuf.{wrapper}"
        elif name == "allowed_batch_sizes":
            field.type, field.label = kinds.TYPE_INT64, kinds.LABEL_REPEATED
        else:
            field.type = kinds.TYPE_BOOL
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    found = pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters")
    return message_factory.GetMessageClass(found)
