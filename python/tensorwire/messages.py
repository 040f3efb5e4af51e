"""Protobuf messages by their full names, from the core's own definitions: in a pool of their
own, so that a program may import TensorFlow Serving's beside them.
"""

from __future__ import annotations

import functools
from typing import Any

from . import _core
from .errors import ConfigError

NOT_INSTALLED = "protobuf, which this needs, is not installed: pip install 'tensorwire[server]'"
"""What is said without the package."""


def new_message(full_name: str) -> Any:
    """An empty message, such as `tensorflow.serving.ModelServerConfig`.

    Raises ConfigError without the package protobuf.
    """
    return message_type(full_name)()


@functools.cache
def message_type(full_name: str) -> Any:
    """The class of these messages; ConfigError without the package protobuf."""
    pool = _pool()
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))


@functools.cache
def _pool() -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool
    except ImportError as error:
        raise ConfigError(NOT_INSTALLED) from error
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(_core.descriptor_set()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool
