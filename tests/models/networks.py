"""Small neural networks with fixed weights: the benchmark's MLP and a convolution."""

import itertools
from pathlib import Path

import numpy as np
import tensorflow as tf
from export import function, save, spec


def _weights(random: np.random.Generator, *shape: int) -> tf.Variable:
    fan_in = int(np.prod(shape[:-1]))
    values = random.normal(0.0, fan_in**-0.5, shape).astype(np.float32)
    return tf.Variable(values)


class Mlp(tf.Module):
    """32-64-64-1, relu between the layers."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(7)
        sizes = [32, 64, 64, 1]
        pairs = list(itertools.pairwise(sizes))
        self.kernels = [_weights(random, fan_in, fan_out) for fan_in, fan_out in pairs]
        self.biases = [_weights(random, fan_out) for _, fan_out in pairs]

    @function(spec("x", tf.float32, [None, 32]))
    def __call__(self, x):
        last = len(self.kernels) - 1
        for layer, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            x = tf.nn.bias_add(tf.matmul(x, kernel), bias)
            if layer < last:
                x = tf.nn.relu(x)
        return {"y": x}


class Conv(tf.Module):
    """Two convolutions and a dense layer over 8x8 images, two outputs."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(11)
        self.first = _weights(random, 3, 3, 1, 8)
        self.second = _weights(random, 3, 3, 8, 16)
        self.dense = _weights(random, 64, 10)

    @function(spec("image", tf.float32, [None, 8, 8, 1]))
    def __call__(self, image):
        x = tf.nn.relu(tf.nn.conv2d(image, self.first, 2, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, self.second, 2, "SAME"))
        logits = tf.matmul(tf.reshape(x, [-1, 64]), self.dense)
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}


def make(out: Path) -> None:
    save(Mlp(), out / "mlp" / "1")
    save(Conv(), out / "conv" / "1")
