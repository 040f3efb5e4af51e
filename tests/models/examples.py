"""A model that takes tf.Examples: signatures for Classify and Regress, right and wrong."""

from pathlib import Path

import tensorflow as tf
from export import DEFAULT, function, patch, save, spec

FEATURES = {
    "x": tf.io.FixedLenFeature([2], tf.float32),
    "factor": tf.io.FixedLenFeature([1], tf.float32, [1.0]),
    "name": tf.io.FixedLenFeature([], tf.string, "nobody"),
}
LABELS = ("low", "middle", "high")

EXAMPLES = spec("inputs", tf.string, [None])


def parsed(examples):
    features = tf.io.parse_example(examples, FEATURES)
    return features["x"] * features["factor"], features["name"]


def scores_of(x):
    """[N, 3] from [N, 2]; rows do not add up to 1, and the first is 0 for x of zeros."""
    weights = tf.constant([[1.0, 0.5, -2.0], [0.25, -1.0, 3.0]])
    return tf.matmul(x, weights)


def labels_of(names):
    """[N, 3]: each of the labels with the example's name."""
    return tf.stack([tf.strings.join([names, label], "-") for label in LABELS], axis=1)


class Examples(tf.Module):
    @function(EXAMPLES)
    def classes_and_scores(self, inputs):
        x, names = parsed(inputs)
        return {"classes": labels_of(names), "scores": scores_of(x)}

    @function(EXAMPLES)
    def classes(self, inputs):
        return {"classes": labels_of(parsed(inputs)[1])}

    @function(EXAMPLES)
    def scores(self, inputs):
        return {"scores": scores_of(parsed(inputs)[0])}

    @function(EXAMPLES)
    def scores_and_more(self, inputs):
        x, _ = parsed(inputs)
        return {"scores": scores_of(x), "sum": tf.reduce_sum(x, axis=1)}

    @function(EXAMPLES)
    def values(self, inputs):
        return {"outputs": tf.reduce_sum(parsed(inputs)[0], axis=1)}

    @function(EXAMPLES)
    def column(self, inputs):
        return {"outputs": tf.reduce_sum(parsed(inputs)[0], axis=1, keepdims=True) * 10}

    @function(spec("inputs", tf.float32, [None]))
    def numbers(self, inputs):
        return {"scores": tf.expand_dims(inputs, 1), "outputs": inputs}

    # From here on each is wrong in one way.

    @function(EXAMPLES, spec("more", tf.string, [None]))
    def two_inputs(self, inputs, more):
        return {"scores": scores_of(parsed(inputs)[0]), "classes": labels_of(more)}

    @function(spec("examples", tf.string, [None]))
    def other_input(self, examples):
        return {"outputs": tf.reduce_sum(parsed(examples)[0], axis=1)}

    @function(EXAMPLES)
    def other_output(self, inputs):
        return {"sum": tf.reduce_sum(parsed(inputs)[0], axis=1)}

    @function(EXAMPLES)
    def three_outputs(self, inputs):
        x, names = parsed(inputs)
        return {"classes": labels_of(names), "scores": scores_of(x), "x": x}

    @function(EXAMPLES)
    def flat_scores(self, inputs):
        return {"scores": tf.reduce_sum(parsed(inputs)[0], axis=1)}

    @function(EXAMPLES)
    def whole_scores(self, inputs):
        return {"scores": tf.cast(scores_of(parsed(inputs)[0]), tf.int32)}

    @function(EXAMPLES)
    def score_classes(self, inputs):
        return {"classes": scores_of(parsed(inputs)[0])}

    @function(EXAMPLES)
    def one_row(self, inputs):
        return {"scores": scores_of(parsed(inputs)[0])[:1]}

    @function(EXAMPLES)
    def fewer_scores(self, inputs):
        x, names = parsed(inputs)
        return {"classes": labels_of(names), "scores": scores_of(x)[:, :2]}

    @function(EXAMPLES)
    def bytes_for_labels(self, inputs):
        names = parsed(inputs)[1]
        return {"classes": tf.expand_dims(tf.strings.join([names, tf.constant(b"\xff")]), 1)}

    @function(EXAMPLES)
    def wide_values(self, inputs):
        return {"outputs": parsed(inputs)[0]}

    @function(EXAMPLES)
    def one_value(self, inputs):
        return {"outputs": tf.reduce_sum(parsed(inputs)[0], axis=1)[:1]}

    @function(EXAMPLES)
    def whole_values(self, inputs):
        return {"outputs": tf.cast(tf.reduce_sum(parsed(inputs)[0], axis=1), tf.int32)}


CLASSIFY = ("classes", "scores", "scores_and_more")
REGRESS = ("values", "column")
"""The signatures that say what they are; the others say that they are for Predict."""

WRONG = (
    "two_inputs",
    "other_input",
    "other_output",
    "three_outputs",
    "flat_scores",
    "whole_scores",
    "score_classes",
    "one_row",
    "fewer_scores",
    "bytes_for_labels",
    "wide_values",
    "one_value",
    "whole_values",
)


def _name_methods(meta_graph) -> None:
    signatures = meta_graph.signature_def
    for name in (DEFAULT, *CLASSIFY):
        signatures[name].method_name = "tensorflow/serving/classify"
    for name in REGRESS:
        signatures[name].method_name = "tensorflow/serving/regress"
    # A method that is none of TensorFlow Serving's.
    signatures["numbers"].method_name = "odd"


def make(out: Path) -> None:
    module = Examples()
    signatures = {DEFAULT: module.classes_and_scores, "numbers": module.numbers}
    for name in (*CLASSIFY, *REGRESS, *WRONG):
        signatures[name] = getattr(module, name)
    for version in ("1", "2"):
        save(module, out / "examples" / version, signatures)
        patch(out / "examples" / version, _name_methods)
