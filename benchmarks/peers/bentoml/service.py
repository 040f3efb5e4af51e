"""BentoML's service class with a batchable API; the SavedModel's path is in MODEL_PATH."""

import os

import bentoml
import numpy as np
import tensorflow as tf


@bentoml.service(
    workers=1,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Mlp:
    def __init__(self):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = tf.saved_model.load(os.environ["MODEL_PATH"])
        self.model = loaded.signatures["serving_default"]

    @bentoml.api(batchable=True, max_batch_size=128, max_latency_ms=60_000)
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model(x=tf.constant(x, dtype=tf.float32))["y"].numpy()
