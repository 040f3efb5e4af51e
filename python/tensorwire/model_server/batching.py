"""The flags for batching: TensorFlow Serving's parameters, or none where nobody asks for any."""

from __future__ import annotations

from typing import Any

from tensorwire.config import Batching

from .command_line import CommandLine
from .failure import invalid
from .files import named_file
from .flags import cores

_USUAL = {"max_batch_size": 1000, "batch_timeout_micros": 0, "max_enqueued_batches": 10}
"""TensorFlow Serving's parameters where a file does not say them."""


def batching_settings(line: CommandLine) -> dict[str, Any]:
    """The settings for how requests become batches. Where `--enable_batching` is not given
    there are none: batches are then made by each model's measured cost.

    Raises StartError, or ConfigError for the file, for what can't be.
    """
    if line.text("platform_config_file"):
        # That says it all.
        return {}
    parameters = named_file(line, "batching_parameters_file")
    if not line.is_on("enable_batching"):
        if parameters is not None:
            raise invalid(
                "server_options.batching_parameters_file is set without setting "
                "server_options.enable_batching to true."
            )
        return {"batching": Batching.off()} if "enable_batching" in line.given else {}
    given = Batching() if parameters is None else Batching.from_file(parameters)
    return {
        "batching": with_usual(given),
        "enable_per_model_batching_parameters": line.is_on("enable_per_model_batching_parameters"),
    }


def with_usual(batching: Batching) -> Batching:
    """The same with TensorFlow Serving's values where it has none."""
    usual = {**_USUAL, "num_batch_threads": cores()}
    missing = {name: value for name, value in usual.items() if getattr(batching, name) is None}
    return batching.with_values(**missing)
