"""The model as Triton's Python backend loads it: every `execute` gets a whole batch."""

from pathlib import Path

import numpy as np
import tensorflow as tf
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        version = Path(args["model_repository"]) / args["model_version"]
        loaded = tf.saved_model.load(str(version / "saved_model"))
        self.predict = loaded.signatures["serving_default"]

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(one, "x").as_numpy() for one in requests]
        outputs = self.predict(x=tf.constant(np.concatenate(inputs)))["y"].numpy()
        responses = []
        first = 0
        for rows in inputs:
            part = triton.Tensor("y", outputs[first : first + len(rows)])
            responses.append(triton.InferenceResponse([part]))
            first += len(rows)
        return responses
