"""TensorFlow Serving's `ModelServerConfig`: the models it lists, and back. Refusals have
TensorFlow Serving's codes and words."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tensorwire.config.request_log import as_logging_config, request_log_of
from tensorwire.config.text_proto import parse_text_proto
from tensorwire.errors import ConfigError
from tensorwire.messages import message_type, new_message

from .model_config import ModelConfig
from .policy import All, Latest, Specific, VersionPolicy

PLATFORM = "tensorflow"
"""The only platform there is."""

_ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
_TENSORFLOW_TYPE, _OTHER_TYPE = 1, 2
_NO_MODELS: Mapping[str, ModelConfig] = MappingProxyType({})
_SERVER_CONFIG = "tensorflow.serving.ModelServerConfig"

NOT_A_LIST = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
    "is currently supported"
)


def parse_server_config(path: Path, content: bytes) -> list[ModelConfig] | None:
    """The models that a text file lists; None: it says nothing, and nothing is to change.

    Raises ConfigError that names the file, and the line where there is one.
    """
    message = parse_text_proto(path, content, new_message(_SERVER_CONFIG))
    if message.WhichOneof("config") is None:
        return None
    try:
        return models_of(message)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def models_of(message: Any, current: Mapping[str, ModelConfig] = _NO_MODELS) -> list[ModelConfig]:
    """The models that a `ModelServerConfig` lists. `current`: those there are, whose platform
    can't change, and which keep what the message can't say.

    Raises ConfigError with what TensorFlow Serving says.
    """
    if message.WhichOneof("config") != "model_config_list":
        raise ConfigError(NOT_A_LIST)
    configs = message.model_config_list.config
    seen: set[str] = set()
    for config in configs:
        if config.name in seen:
            raise ConfigError(f"Illegal to list model {config.name} multiple times in config list")
        seen.add(config.name)
    for config in configs:
        _check_path(config, current.get(config.name))
    for config in configs:
        _check_platform(config, current)
    return [model_of(config, current.get(config.name)) for config in configs]


def model_of(config: Any, known: ModelConfig | None = None) -> ModelConfig:
    """The model that a `ModelConfig` describes, once its path and platform are checked.

    `known`: the model of this name that there is. If it is the same one, what the message
    can't say stays as it was: what `config_of` makes of a model means that model.
    """
    known = known if known is not None and _is_at(known, config) else None
    same_log = known is not None and config.logging_config == _logging_of(known)
    logging = {}
    if config.HasField("logging_config"):
        if not same_log:
            # What can't be is told before any model is touched.
            request_log_of(config.logging_config, config.name)
        logging = {"logging": _as_dict(config.logging_config)}
    model = ModelConfig(
        config.name,
        config.base_path,
        versions=_policy(config.model_version_policy),
        labels=dict(config.version_labels),
        options=logging,
    )
    if known is None:
        return model
    kept = {name: each for name, each in known.options.items() if name != "logging"}
    return dataclasses.replace(
        model,
        # What is secret in a path is not shown, and so can't be sent back; nor can a source.
        path=known.path,
        source=known.source,
        batching=known.batching,
        transition=known.transition,
        options=known.options if same_log else {**kept, **logging},
    )


def added_model(config: Any, current: Mapping[str, ModelConfig]) -> ModelConfig:
    """The same for a model that is added by itself: the platform may be left out, and of one
    that is there its request log, which then stays."""
    known = current.get(config.name)
    if not config.model_platform and not config.model_type:
        config.model_platform = PLATFORM
    _check_path(config, known)
    _check_platform(config, current)
    if known is not None and _is_at(known, config) and not config.HasField("logging_config"):
        log = _logging_of(known)
        if log is not None:
            config.logging_config.CopyFrom(log)
    return model_of(config, known)


def _is_at(known: ModelConfig, config: Any) -> bool:
    """The message's path is where this model is: as that was given, or as it is told."""
    if config.base_path == known.location:
        return True
    return known.source is None and ModelConfig(known.name, config.base_path).path == known.path


def _logging_of(known: ModelConfig) -> Any:
    """What is told of its request log; None if it can't be one: a program's tables are
    looked into only when a version is loaded."""
    try:
        return config_of(known).logging_config
    except ConfigError:
        return None


def message_of(models: Iterable[ModelConfig]) -> Any:
    """The `ModelServerConfig` that lists these models, by name."""
    message = new_message(_SERVER_CONFIG)
    message.model_config_list.SetInParent()
    for model in sorted(models, key=lambda model: model.name):
        message.model_config_list.config.append(config_of(model))
    return message


def config_of(model: ModelConfig) -> Any:
    """The `ModelConfig` message of a model, as far as that can say it, and without what is
    secret in its path: whoever reaches the port may read it."""
    config = message_type("tensorflow.serving.ModelConfig")(
        name=model.name, base_path=model.location, model_platform=PLATFORM
    )
    config.version_labels.update(model.labels)
    policy, target = model.policy, config.model_version_policy
    if isinstance(policy, All):
        target.all.SetInParent()
    elif isinstance(policy, Specific):
        target.specific.SetInParent()
        target.specific.versions.extend(sorted(policy.numbers))
    else:
        count = policy.count if isinstance(policy, Latest) else 1
        target.latest.num_versions = min(count, 2**32 - 1)
    if "logging" in model.options:
        from google.protobuf import json_format

        table = as_logging_config(model.options["logging"], model.name)
        json_format.ParseDict(table, config.logging_config)
    return config


def _check_path(config: Any, known: ModelConfig | None) -> None:
    # A source of its own is told by what it calls itself.
    if known is not None and known.source is not None and _is_at(known, config):
        return
    if not _ABSOLUTE.match(config.base_path):
        raise ConfigError(
            f"Expected model {config.name} to have an absolute path or URI; got "
            f"base_path()={config.base_path}"
        )


def _check_platform(config: Any, current: Container[str]) -> None:
    name, kind = config.name, config.model_type
    if kind == _OTHER_TYPE or kind not in (0, _TENSORFLOW_TYPE):
        raise ConfigError(f"ModelServerConfig::model_type choice {kind} not yet supported.")
    platform = PLATFORM if kind == _TENSORFLOW_TYPE else config.model_platform
    if not platform:
        raise ConfigError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {name}"
        )
    if platform != PLATFORM and name in current:
        raise ConfigError(
            f"Illegal to change a model's platform. For model {name} platform was {PLATFORM} "
            f"and new platform requested is {platform}"
        )
    if platform != PLATFORM:
        raise ConfigError(f"Model {name} requests unsupported platform {platform}")


def _policy(policy: Any) -> VersionPolicy | None:
    choice = policy.WhichOneof("policy_choice")
    if choice == "latest":
        return Latest(policy.latest.num_versions or 1)
    if choice == "all":
        return All()
    if choice == "specific":
        return Specific(frozenset(policy.specific.versions))
    return None


def _as_dict(message: Any) -> Mapping[str, Any]:
    from google.protobuf import json_format

    text = json_format.MessageToJson(message, preserving_proto_field_name=True)
    values: Mapping[str, Any] = json.loads(text)
    return values


__all__ = [
    "NOT_A_LIST",
    "PLATFORM",
    "added_model",
    "config_of",
    "message_of",
    "model_of",
    "models_of",
    "parse_server_config",
]
