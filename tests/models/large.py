"""Builds what only the benchmarks serve, into `built-large/NAME/VERSION`: MobileNetV2, and
a model that is nothing but large.

`python tests/models/large.py [--out DIR]`; like make_models.py it does nothing where it
was built before. The weights are random but fixed, so nothing is downloaded, and what a
run costs does not depend on them.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from make_models import HERE, build_once

if TYPE_CHECKING:
    import keras

BUILT = HERE / "built-large"
IMAGE = (224, 224, 3)
# 16 layers of 2,800 by 2,800 floats of 4 bytes: 502 MB.
LAYERS, WIDE = 16, 2_800


def make(out: Path) -> None:
    """mobilenet_v2: `image` float [batch, 224, 224, 3] to logits, float [batch, 1000]."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import keras

    keras.utils.set_random_seed(5)
    image = keras.Input(IMAGE, name="image")
    network = keras.applications.MobileNetV2(
        input_tensor=image, weights=None, classifier_activation=None
    )
    _normalise(network)
    network.export(out / "mobilenet_v2" / "1", verbose=False)
    _make_heavy(out)


def _make_heavy(out: Path) -> None:
    """weights_500mb: `x` float [batch, WIDE] through LAYERS dense layers without bias, to
    float [batch, WIDE]; 500 MB of weights."""
    import tensorflow as tf

    class Heavy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            generator = tf.random.Generator.from_seed(7)
            scale = WIDE**-0.5
            self.layers = [
                tf.Variable(generator.normal([WIDE, WIDE], stddev=scale)) for _ in range(LAYERS)
            ]

        @tf.function(input_signature=[tf.TensorSpec([None, WIDE], tf.float32, name="x")])
        def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            for layer in self.layers:
                x = tf.tanh(tf.matmul(x, layer))
            return {"y": x}

    heavy = Heavy()
    tf.saved_model.save(heavy, str(out / "weights_500mb" / "1"), signatures=heavy.predict)


def _normalise(network: "keras.Model") -> None:
    """Gives the normalising layers the statistics of some noise, as training would: with
    those that they begin with, all signal fades and every image gets the same logits."""
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # All of the new statistics, nothing of the old.
            layer.momentum = 0.0
    network(keras.random.uniform((8, *IMAGE), seed=5), training=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=BUILT, help="folder to build into")
    print(build_once(parser.parse_args().out.resolve(), make, [Path(__file__)]))


if __name__ == "__main__":
    main()
