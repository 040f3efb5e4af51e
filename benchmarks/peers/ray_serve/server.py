"""`server.py MODEL WORK GRPC_PORT HTTP_PORT`: Ray Serve with its gRPC proxy.

The service's code is generated first; Ray's processes find it by PYTHONPATH.
"""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import ray
from grpc_tools import protoc
from ray import serve
from ray.serve.config import gRPCOptions

HERE = Path(__file__).resolve().parent


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=256,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False},
)
class Mlp:
    def __init__(self, model_path):
        import row_pb2
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.tensor = tf.constant
        self.reply = row_pb2.Prediction
        self.model = tf.saved_model.load(model_path).signatures["serving_default"]

    @serve.batch(max_batch_size=128, batch_wait_timeout_s=0.01)
    async def predict_batch(self, rows):
        outputs = self.model(x=self.tensor([list(row.x) for row in rows]))["y"].numpy()
        return [self.reply(y=value) for value in outputs[:, 0].tolist()]

    async def Predict(self, row):
        return await self.predict_batch(row)


def generate(work):
    """row_pb2 and row_pb2_grpc in a folder, for this process and those it starts."""
    command = ["protoc", f"-I{HERE}", f"--python_out={work}", f"--grpc_python_out={work}"]
    if protoc.main([*command, "row.proto"]) != 0:
        sys.exit("protoc failed")
    sys.path.insert(0, work)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [work, os.environ.get("PYTHONPATH")]))


def main():
    model_path, work, grpc_port, http_port = sys.argv[1:]
    generate(work)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Short: the paths of Ray's sockets are in it, and those have a limit.
    sessions = tempfile.mkdtemp(prefix="ray")
    try:
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=200 * 2**20,
            log_to_driver=False,
            _temp_dir=sessions,
        )
        serve.start(
            http_options={"host": "127.0.0.1", "port": int(http_port)},
            grpc_options=gRPCOptions(
                port=int(grpc_port),
                grpc_servicer_functions=["row_pb2_grpc.add_PredictorServicer_to_server"],
            ),
        )
        serve.run(Mlp.bind(model_path), name="mlp", route_prefix="/mlp")
        signal.pause()
    finally:
        ray.shutdown()
        shutil.rmtree(sessions, ignore_errors=True)


if __name__ == "__main__":
    main()
