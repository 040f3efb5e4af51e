"""Models of a few arithmetic ops: one for each rule about inputs, outputs and shapes."""

from pathlib import Path

import tensorflow as tf
from export import DEFAULT, function, patch, save, spec


class HalfPlusTwo(tf.Module):
    """y = x*a + b, with a and b as variables and several signatures."""

    def __init__(self, b: float):
        super().__init__()
        self.a = tf.Variable(0.5, name="a")
        self.b = tf.Variable(b, name="b")

    @function(spec("x", tf.float32, [None]))
    def __call__(self, x):
        return {"y": x * self.a + self.b}

    @function(spec("x", tf.float32, [None]), spec("factor", tf.float32, []))
    def scaled(self, x, factor):
        return {"y": (x * self.a + self.b) * factor}

    @function(spec("x", tf.float32, [None]))
    def summary(self, x):
        y = x * self.a + self.b
        return {"least": tf.reduce_min(y), "most": tf.reduce_max(y), "y": y}


class Add(tf.Module):
    @function(spec("a", tf.float32, [None]), spec("b", tf.float32, [None]))
    def __call__(self, a, b):
        return {"sum": a + b}


class Scalar(tf.Module):
    @function(spec("x", tf.float32, []))
    def __call__(self, x):
        return {"square": x * x}


class NoInputs(tf.Module):
    @function()
    def __call__(self):
        return {
            "answer": tf.constant(42, tf.int64),
            "primes": tf.constant([2, 3, 5, 7], tf.int32),
        }


class Multi(tf.Module):
    """Inputs and outputs of different element types and ranks."""

    @function(
        spec("image", tf.float32, [None, 2, 2]),
        spec("weight", tf.float64, []),
        spec("wanted", tf.bool, [None]),
        spec("count", tf.int32, [None, 1]),
        spec("tag", tf.string, [None]),
    )
    def __call__(self, image, weight, wanted, count, tag):
        totals = tf.cast(tf.reduce_sum(image, axis=[1, 2]), tf.float64) * weight
        return {
            "transposed": tf.transpose(image, [0, 2, 1]),
            "total": totals,
            "refused": tf.logical_not(wanted),
            "doubled": tf.cast(count, tf.int64) * 2,
            "label": tf.strings.join([tag, tf.strings.as_string(tf.reshape(count, [-1]))], "-"),
            "rows": tf.shape(image)[0],
        }


class Dynamic(tf.Module):
    """Unknown rank, and unknown sizes around a known one."""

    @function(spec("x", tf.float32, None))
    def __call__(self, x):
        return {
            "doubled": x + x,
            "flat": tf.reshape(x, [-1]),
            "rank": tf.rank(x),
            "shape": tf.shape(x, out_type=tf.int64),
        }

    @function(spec("x", tf.float32, [None, None, 3]))
    def points(self, x):
        return {"norm": tf.norm(x, axis=2), "centre": tf.reduce_mean(x, axis=1)}


class RaggedInner(tf.Module):
    """Rows whose length differs from request to request."""

    @function(spec("ids", tf.int64, [None, None]))
    def __call__(self, ids):
        return {"sum": tf.reduce_sum(ids, axis=1), "reversed": tf.reverse(ids, axis=[1])}


class Complex(tf.Module):
    @function(spec("a", tf.complex64, [None]), spec("b", tf.complex64, [None]))
    def __call__(self, a, b):
        return {"product": a * b, "conjugate": tf.math.conj(a), "magnitude": tf.abs(b)}

    @function(spec("a", tf.complex128, [None]), spec("b", tf.complex128, [None]))
    def wide(self, a, b):
        return {"product": a * b, "conjugate": tf.math.conj(a), "magnitude": tf.abs(b)}


class Fill(tf.Module):
    """As many zeros as asked for: an allocation of the client's choosing."""

    @function(spec("size", tf.int64, []))
    def __call__(self, size):
        return {"zeros": tf.fill(tf.reshape(size, [1]), 0.0)}


class Defaults(tf.Module):
    @function(
        spec("x", tf.float32, [None]),
        spec("offset", tf.float32, []),
        spec("scale", tf.float32, []),
    )
    def __call__(self, x, offset, scale):
        return {"y": x * scale + offset}


def _give_defaults(meta_graph) -> None:
    defaults = meta_graph.signature_def[DEFAULT].defaults
    defaults["offset"].CopyFrom(tf.make_tensor_proto(10.0, tf.float32, []))
    defaults["scale"].CopyFrom(tf.make_tensor_proto(2.0, tf.float32, []))


def make(out: Path) -> None:
    for version, b in ((1, 2.0), (2, 3.0)):
        module = HalfPlusTwo(b)
        signatures = {
            DEFAULT: module.__call__,
            "scaled": module.scaled,
            "summary": module.summary,
        }
        save(module, out / "half_plus_two" / str(version), signatures)
    save(Add(), out / "add" / "1")
    save(Scalar(), out / "scalar" / "1")
    save(NoInputs(), out / "no_inputs" / "1")
    save(Multi(), out / "multi" / "1")
    dynamic = Dynamic()
    save(dynamic, out / "dynamic" / "1", {DEFAULT: dynamic.__call__, "points": dynamic.points})
    save(RaggedInner(), out / "ragged_inner" / "1")
    numbers = Complex()
    save(numbers, out / "complex" / "1", {DEFAULT: numbers.__call__, "wide": numbers.wide})
    save(Fill(), out / "fill" / "1")
    save(Defaults(), out / "defaults" / "1")
    patch(out / "defaults" / "1", _give_defaults)
