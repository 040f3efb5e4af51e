"""The client's process: calls the server for the held-out digits and shows what it got.

Run as a program: `caller ADDRESS`. Exit status 1 if the answers are not good enough.
"""

from __future__ import annotations

import asyncio
import sys
import time

import numpy as np
from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from tensorwire.client import AsyncClient, Client
from tensorwire.errors import TensorWireError

from .digits import Digits, draw, load_digits
from .training import MODEL_NAME

LEAST_ACCURACY = 0.97
SHOWN_DIGITS = 8
BATCH_SIZE = 50
MEASURED_SECONDS = 2.0
IN_FLIGHT = 32
READY_TIMEOUT_SECONDS = 30.0
CALL_TIMEOUT_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """The program."""
    console = Console(highlight=False)
    (address,) = arguments
    _, held_out = load_digits()
    try:
        with Client(address, timeout=CALL_TIMEOUT_SECONDS) as client:
            client.wait_until_ready(READY_TIMEOUT_SECONDS)
            _show_some(console, client, held_out)
            accuracy = _accuracy(client, held_out)
        rate = asyncio.run(_requests_per_second(address, held_out))
    except TensorWireError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 1
    console.print(
        f"Accuracy over the wire on all {len(held_out.labels)} held-out digits: "
        f"[bold]{accuracy:.4f}[/bold]"
    )
    console.print(
        f"Requests per second: [bold]{rate:,.0f}[/bold] "
        f"(one digit a request, {IN_FLIGHT} in flight from one Python process, "
        f"for {MEASURED_SECONDS:.0f} s, server and client on this machine)",
        soft_wrap=True,
    )
    if accuracy < LEAST_ACCURACY:
        sys.stderr.write(f"error: the accuracy is below {LEAST_ACCURACY}\n")
        return 1
    return 0


def _show_some(console: Console, client: Client, digits: Digits) -> None:
    """Predicts and draws the first few."""
    images = digits.images[:SHOWN_DIGITS]
    outputs = client.predict(MODEL_NAME, {"image": images})
    panels = []
    for image, label, probabilities, truth in zip(
        images, outputs["label"], outputs["probabilities"], digits.labels, strict=False
    ):
        right = int(label) == int(truth)
        caption = f"{label} ({float(probabilities[label]):.1%})"
        panels.append(
            Panel(
                Text("\n".join(draw(image)), no_wrap=True),
                title=caption if right else f"{caption}, is {truth}",
                border_style="green" if right else "red",
                expand=False,
            )
        )
    console.print("Held-out digits with the label that came back and its probability:")
    console.print(Columns(panels))


def _accuracy(client: Client, digits: Digits) -> float:
    """The share of labels that came back right, over all batches."""
    right = 0
    for start in range(0, len(digits.labels), BATCH_SIZE):
        images = digits.images[start : start + BATCH_SIZE]
        labels = client.predict(MODEL_NAME, {"image": images}, outputs=["label"])["label"]
        right += int(np.count_nonzero(labels == digits.labels[start : start + BATCH_SIZE]))
    return right / len(digits.labels)


async def _requests_per_second(address: str, digits: Digits) -> float:
    """Closed loop: each of `IN_FLIGHT` tasks sends its next request once it has the reply."""
    done = 0
    end = 0.0

    async def caller(client: AsyncClient, image: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            image = (image + 1) % len(digits.labels)
            await client.predict(MODEL_NAME, {"image": digits.images[image : image + 1]})
            done += 1

    async with AsyncClient(address, timeout=CALL_TIMEOUT_SECONDS) as client:
        started = time.perf_counter()
        end = started + MEASURED_SECONDS
        await asyncio.gather(*(caller(client, index) for index in range(IN_FLIGHT)))
        return done / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
