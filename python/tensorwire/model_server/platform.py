"""Reads the file of `--platform_config_file`: what it says of TensorFlow's models takes the
place of the flags for the same."""

from __future__ import annotations

import logging
from typing import Any

from tensorwire.config import Batching
from tensorwire.config.batching_file import batching_values
from tensorwire.config.text_proto import parse_failure, read_bytes
from tensorwire.errors import ConfigError
from tensorwire.messages import new_message

from .batching import with_usual
from .command_line import CommandLine
from .failure import invalid
from .files import named_file

_log = logging.getLogger("tensorwire.model_server")

_PLATFORM = "tensorflow"
_ADAPTER = "tensorflow.serving.SavedModelBundleSourceAdapterConfig"


def platform_settings(line: CommandLine) -> dict[str, Any]:
    """The settings that the file means; what of it is not applied is told in the log.

    Raises StartError or ConfigError if it can't be read or has nothing for TensorFlow.
    """
    message = _read(line)
    if message is None:
        return {}
    for name in sorted(message.platform_configs):
        if name != _PLATFORM:
            _log.warning("--platform_config_file: the platform %s is not served", name)
    if _PLATFORM not in message.platform_configs:
        raise invalid(f"--platform_config_file: it says nothing of the platform {_PLATFORM}")
    source = message.platform_configs[_PLATFORM].source_adapter_config
    adapter = new_message(_ADAPTER)
    if source.TypeName() != adapter.DESCRIPTOR.full_name:
        raise invalid(
            f"--platform_config_file: the platform {_PLATFORM} is configured by "
            f"{source.TypeName() or 'nothing'}; it has to be {adapter.DESCRIPTOR.full_name}"
        )
    source.Unpack(adapter)
    return _settings(adapter.legacy_config)


def _read(line: CommandLine) -> Any:
    path = named_file(line, "platform_config_file")
    if path is None:
        return None
    from google.protobuf import text_format

    message = new_message("tensorflow.serving.PlatformConfigMap")
    try:
        # TensorFlow Serving has fields here that mean nothing to this server.
        return text_format.Parse(
            read_bytes(path).decode(errors="replace"),
            message,
            allow_unknown_field=True,
            descriptor_pool=message.DESCRIPTOR.file.pool,
        )
    except text_format.ParseError as error:
        raise ConfigError(parse_failure(path, error)) from None


def _settings(config: Any) -> dict[str, Any]:
    if config.HasField("session_config"):
        _log.warning(
            "--platform_config_file: its session_config is not applied; give it in a file of "
            "its own with --tensorflow_session_config_file"
        )
    settings: dict[str, Any] = {"warmup": config.enable_model_warmup}
    if config.HasField("batching_parameters"):
        settings["batching"] = with_usual(Batching(**batching_values(config.batching_parameters)))
    if config.saved_model_tags:
        settings["saved_model_tags"] = tuple(config.saved_model_tags)
    return settings
