"""Makes the small model that the other examples use: y = x / 2 + 2.

    python examples/make_model.py ./half_plus_two

Needs TensorFlow. The folder gets one version, 1, as `tensorwire serve` and TensorFlow
Serving expect it.
"""

import sys
from pathlib import Path

import tensorflow as tf


class HalfPlusTwo(tf.Module):
    """One input, one output."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def halve(self, x):
        """x, y: float32 [batch]."""
        return {"y": x / 2 + 2}


def make(folder: Path) -> None:
    """Saves it as version 1."""
    model = HalfPlusTwo()
    signatures = {"serving_default": model.halve}
    tf.saved_model.save(model, str(folder / "1"), signatures=signatures)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
