"""`server.py MODEL PORT`: LitServe with batching, a LitAPI as its documentation has it."""

import sys

import litserve as ls
import numpy as np


class SavedModelAPI(ls.LitAPI):
    def __init__(self, model_path, **batching):
        super().__init__(**batching)
        self.model_path = model_path

    def setup(self, device):
        # Here and not above: the worker is forked, and a fork must come before TensorFlow.
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.tensor = tf.constant
        self.model = tf.saved_model.load(self.model_path).signatures["serving_default"]

    def decode_request(self, request):
        return np.asarray(request["x"], dtype=np.float32)

    def predict(self, x):
        return self.model(x=self.tensor(x))["y"].numpy()

    def encode_response(self, output):
        return {"y": output.tolist()}


if __name__ == "__main__":
    api = SavedModelAPI(sys.argv[1], max_batch_size=128, batch_timeout=0.002)
    server = ls.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
