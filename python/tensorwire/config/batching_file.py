"""Reads TensorFlow Serving's text-format `BatchingParameters`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorwire.messages import new_message

from .text_proto import read_text_proto

PER_MODEL_FILE = "batching_params.pbtxt"
"""Its name in the folder of a model's version."""

_WRAPPED = (
    "max_batch_size",
    "batch_timeout_micros",
    "max_enqueued_batches",
    "num_batch_threads",
    "enable_large_batch_splitting",
    "max_execution_batch_size",
)
"""Fields that know whether they were given. The pool's name is not among them: it is for
TensorFlow Serving's own records, and changes nothing."""


def read_batching(path: Path) -> dict[str, Any]:
    """The values that the file gives, by their names in `Batching`.

    Raises ConfigError with the file and the line if it can't be read.
    """
    return batching_values(
        read_text_proto(path, new_message("tensorflow.serving.BatchingParameters"))
    )


def batching_values(message: Any) -> dict[str, Any]:
    """The values that a `BatchingParameters` gives, by their names in `Batching`."""
    values = {name: getattr(message, name).value for name in _WRAPPED if message.HasField(name)}
    values["pad_variable_length_inputs"] = message.pad_variable_length_inputs
    values["allowed_batch_sizes"] = tuple(message.allowed_batch_sizes)
    return values
