"""Many calls at once from one thread, over one connection.

python examples/async_client.py localhost:50051
"""

import asyncio
import sys

import numpy as np

import tensorwire as tw


async def main(target: str) -> None:
    """Sends a hundred requests and waits for all."""
    async with tw.AsyncClient(target, timeout=5.0) as client:
        await client.wait_until_ready(60.0)
        inputs = [np.array([number], np.float32) for number in range(100)]
        calls = [client.predict("half_plus_two", {"x": x}) for x in inputs]
        outputs = await asyncio.gather(*calls)
        print("sum of all answers:", sum(float(each["y"][0]) for each in outputs))


asyncio.run(main(sys.argv[1]))
