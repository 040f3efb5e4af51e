"""identity_DTYPE: gives back what it gets, of any shape, for each element type."""

from pathlib import Path

import tensorflow as tf
from export import function, save, spec
from make_models import IDENTITY_DTYPES
from tensorflow.core.framework import types_pb2


def make(out: Path) -> None:
    for name in IDENTITY_DTYPES:
        dtype = tf.as_dtype(types_pb2.DataType.Value(f"DT_{name.upper()}"))

        class Identity(tf.Module):
            @function(spec("x", dtype, None))
            def __call__(self, x):
                return {"y": tf.identity(x)}

        save(Identity(), out / f"identity_{name}" / "1")
