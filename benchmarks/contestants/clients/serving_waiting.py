"""tensorflow-serving-api's stub over grpcio, as TensorFlow Serving's tutorials show it;
with BARE in the environment without TensorFlow's helpers."""

import os

import grpc
import laps
import numpy as np
from serving_messages import CHANNEL_OPTIONS, Bare, Helped
from tensorflow_serving.apis import prediction_service_pb2_grpc


def main() -> None:
    """Laps of one call at a time."""
    task = laps.task()
    messages = Bare(task) if os.environ.get("BARE") else Helped(task)
    with grpc.insecure_channel(task.address, options=CHANNEL_OPTIONS) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def call() -> np.ndarray:
            return messages.output(stub.Predict(messages.request()))

        laps.run_waiting(call)


if __name__ == "__main__":
    main()
