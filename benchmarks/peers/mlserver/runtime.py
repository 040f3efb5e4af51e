"""MLServer's custom inference runtime for a SavedModel, as its guide has it: a class
with `load` and `predict`. Batches come already merged from its adaptive batching."""

import numpy as np
import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class SavedModel(MLModel):
    async def load(self):
        # One core: more threads only take turns.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        loaded = tf.saved_model.load(self.settings.parameters.uri)
        self._predict = loaded.signatures["serving_default"]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        x = NumpyCodec.decode_input(payload.inputs[0])
        y = self._predict(x=tf.constant(x, dtype=tf.float32))["y"].numpy()
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output("y", y.astype(np.float32))],
        )
