"""tensorwire.AsyncClient, as its documentation shows it."""

import asyncio

import laps
import numpy as np
import tensorwire


async def main() -> None:
    """Laps of many calls under way at once."""
    task = laps.task()
    async with tensorwire.AsyncClient(task.address) as client:

        async def caller(calls: int) -> np.ndarray | None:
            output = None
            for _ in range(calls):
                outputs = await client.predict(task.model, {task.input_name: task.array})
                output = outputs[task.output_name]
            return output

        for calls in laps.asked():
            lap = laps.Lap(calls)
            shares = laps.share(calls, task.concurrency)
            outputs = await asyncio.gather(*(caller(part) for part in shares))
            lap.end(outputs[0])


if __name__ == "__main__":
    asyncio.run(main())
