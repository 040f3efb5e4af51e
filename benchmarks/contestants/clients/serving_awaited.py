"""tensorflow-serving-api's stub over grpc.aio; with BARE in the environment without
TensorFlow's helpers."""

import asyncio
import os

import grpc
import laps
import numpy as np
from serving_messages import CHANNEL_OPTIONS, Bare, Helped
from tensorflow_serving.apis import prediction_service_pb2_grpc


async def main() -> None:
    """Laps of many calls under way at once."""
    task = laps.task()
    messages = Bare(task) if os.environ.get("BARE") else Helped(task)
    async with grpc.aio.insecure_channel(task.address, options=CHANNEL_OPTIONS) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        async def caller(calls: int) -> np.ndarray | None:
            output = None
            for _ in range(calls):
                output = messages.output(await stub.Predict(messages.request()))
            return output

        for calls in laps.asked():
            lap = laps.Lap(calls)
            shares = laps.share(calls, task.concurrency)
            outputs = await asyncio.gather(*(caller(part) for part in shares))
            lap.end(outputs[0])


if __name__ == "__main__":
    asyncio.run(main())
