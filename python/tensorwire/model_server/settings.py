"""Turns TensorFlow Serving's flags into the settings of `tensorwire serve`: there is one
server, and one tree that says what it does."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any

from tensorwire.config import Batching, ServeConfig, load_config
from tensorwire.config.values import MAX_DURATION_SECONDS

from .command_line import CommandLine
from .failure import invalid
from .files import named_file, named_message
from .flags import FLAGS, cores
from .network import channel_settings, network_settings

_log = logging.getLogger("tensorwire.model_server")

DEFAULTS: Mapping[str, Any] = {
    # Every network, where `tensorwire serve` is for this machine alone.
    "host": "0.0.0.0",  # noqa: S104 (as TensorFlow Serving does)
    "port": 8500,
    # Tools look for words in the log's lines.
    "log_format": "text",
    "listen_when": "loaded",
    "load_retry_interval": 60.0,
    "config_poll_interval": 0.0,
}
"""What TensorFlow Serving does where no flag says otherwise. Variables of the environment go
before it, and flags before them."""

MAX_RETRIES = 1_000_000

_BATCHING = {"max_batch_size": 1000, "batch_timeout_micros": 0, "max_enqueued_batches": 10}
"""TensorFlow Serving's parameters where a file does not say them."""


def config_of(line: CommandLine, environ: Mapping[str, str] | None = None) -> ServeConfig:
    """The tree that these flags mean. What has no effect is told in a line each.

    Raises StartError or ConfigError for what can't be.
    """
    environ = os.environ if environ is None else environ
    given = network_settings(line)
    given |= _lifecycle(line) | _session(line) | _batching(line) | _serving(line)
    _, more = channel_settings(line, ServeConfig().listener.connections)
    config = load_config(given | more, environ, DEFAULTS)
    listener = config.listener
    connections, _ = channel_settings(line, listener.connections)
    listener = dataclasses.replace(listener, connections=connections)
    return dataclasses.replace(config, listener=listener)
