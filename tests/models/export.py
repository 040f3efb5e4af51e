"""Writes a module's functions as the signatures of a SavedModel, and patches one."""

from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.protobuf import saved_model_pb2

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def spec(alias: str, dtype: tf.DType, shape: list[int | None] | None) -> tf.TensorSpec:
    """An input of a signature; shape None: any rank."""
    return tf.TensorSpec(shape, dtype, name=alias)


def function(
    *inputs: tf.TensorSpec,
) -> Callable[[Callable], tf.types.experimental.GenericFunction]:
    """`tf.function` with these inputs, always traced as a graph."""
    return tf.function(input_signature=list(inputs), autograph=False)


def save(
    module: tf.Module,
    path: Path,
    signatures: Mapping[str, tf.types.experimental.GenericFunction] | None = None,
) -> None:
    """Saves a module; without `signatures` its `__call__` is the default one."""
    chosen = signatures if signatures is not None else {DEFAULT: module.__call__}
    concrete = {name: function.get_concrete_function() for name, function in chosen.items()}
    tf.saved_model.save(module, str(path), signatures=concrete)


def patch(path: Path, change: Callable[[Message], None]) -> None:
    """Rewrites the MetaGraphDef of a SavedModel folder by `change`."""
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString(deterministic=True))
