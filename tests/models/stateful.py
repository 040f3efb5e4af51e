"""Models with state or with time: a counter, runs of a given length, a slow load."""

from pathlib import Path

import tensorflow as tf
from export import DEFAULT, function, save, spec

# Long enough that a test can look at a server while it loads.
SLOW_LOAD_SECONDS = 3.0


def _spin(seconds: tf.Tensor) -> tf.Tensor:
    """Keeps a core busy for this time; answers the number of turns taken.

    A loop of ops, not one long kernel: TensorFlow looks at deadlines between ops.
    """
    end = tf.timestamp() + tf.cast(seconds, tf.float64)
    (turns,) = tf.while_loop(
        lambda turns: tf.timestamp() < end,
        lambda turns: (turns + 1,),
        (tf.constant(0, tf.int64),),
        parallel_iterations=1,
    )
    return turns


class Counter(tf.Module):
    def __init__(self):
        super().__init__()
        self.total = tf.Variable(0, dtype=tf.int64)

    @function(spec("amount", tf.int64, []))
    def __call__(self, amount):
        return {"total": self.total.assign_add(amount)}

    @function()
    def read(self):
        return {"total": self.total.read_value()}


class Sleep(tf.Module):
    """Answers after about `milliseconds`, on one core."""

    @function(spec("milliseconds", tf.int32, []))
    def __call__(self, milliseconds):
        turns = _spin(tf.cast(milliseconds, tf.float64) / 1000.0)
        with tf.control_dependencies([turns]):
            return {"slept": tf.identity(milliseconds)}


class Work(tf.Module):
    """Works as many turns as the largest of its rows says, by rows and without state: a
    model to batch. A row that says less than none fails, and all of its run with it.
    """

    @function(spec("x", tf.float32, [None, None]), spec("turns", tf.int32, [None]))
    def __call__(self, x, turns):
        check = tf.debugging.Assert(
            tf.reduce_all(turns >= 0), ["turns must not be negative:", turns], summarize=8
        )
        with tf.control_dependencies([check]):
            wanted = tf.reduce_max(turns)
        start = tf.fill([64, 64], 0.5)
        _, worked = tf.while_loop(
            lambda turn, _: turn < wanted,
            lambda turn, last: (turn + 1, tf.tanh(tf.matmul(last, last))),
            (tf.constant(0), start),
            parallel_iterations=1,
        )
        # Never so; but only who did the work knows.
        failed = tf.math.is_nan(tf.reduce_sum(worked))
        y = tf.where(failed, x, 2.0 * x + 1.0)
        return {"y": y, "sum": tf.reduce_sum(y, axis=1)}


class _SlowResource(tf.saved_model.experimental.TrackableResource):
    """A table whose initialisation, which TensorFlow runs at load, takes its time."""

    def __init__(self):
        super().__init__()
        self._resource_handle = self._create_resource()
        self._initialize()

    def _create_resource(self):
        return tf.raw_ops.HashTableV2(
            key_dtype=tf.int64,
            value_dtype=tf.int64,
            shared_name="slow_load",
            use_node_name_sharing=True,
        )

    def _initialize(self):
        turns = _spin(tf.constant(SLOW_LOAD_SECONDS if not tf.executing_eagerly() else 0.0))
        with tf.control_dependencies([turns]):
            keys = tf.constant([1], tf.int64)
            tf.raw_ops.LookupTableImportV2(
                table_handle=self.resource_handle, keys=keys, values=keys * 100
            )


class SlowLoad(tf.Module):
    def __init__(self):
        super().__init__()
        self.table = _SlowResource()

    @function(spec("key", tf.int64, [None]))
    def __call__(self, key):
        values = tf.raw_ops.LookupTableFindV2(
            table_handle=self.table.resource_handle,
            keys=key,
            default_value=tf.constant(-1, tf.int64),
        )
        return {"value": values}


def make(out: Path) -> None:
    counter = Counter()
    save(counter, out / "counter" / "1", {DEFAULT: counter.__call__, "read": counter.read})
    save(Sleep(), out / "sleep" / "1")
    save(Work(), out / "work" / "1")
    save(SlowLoad(), out / "slow_load" / "1")
