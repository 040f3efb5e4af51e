"""`server.py MODEL GRPC_PORT HTTP_PORT`: Triton's Python backend, by PyTriton.

PyTriton's own way: a function over whole batches with its `batch` decorator, bound to
a Triton that has dynamic batching on.
"""

import sys

import numpy as np
import tensorflow as tf
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

# As many as the load has under way at once.
MAX_BATCH_SIZE = 128


def serve(model_path, grpc_port, http_port):
    # One core: more threads only take turns.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    predict = tf.saved_model.load(model_path).signatures["serving_default"]

    @batch
    def infer(x):
        return {"y": predict(x=tf.constant(x))["y"].numpy()}

    config = TritonConfig(
        grpc_address="127.0.0.1",
        grpc_port=grpc_port,
        http_address="127.0.0.1",
        http_port=http_port,
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="mlp",
            infer_func=infer,
            inputs=[Tensor(name="x", dtype=np.float32, shape=(32,))],
            outputs=[Tensor(name="y", dtype=np.float32, shape=(1,))],
            config=ModelConfig(max_batch_size=MAX_BATCH_SIZE, batcher=DynamicBatcher()),
            strict=False,
        )
        triton.serve()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
