"""tensorwire.Client, as its documentation shows it."""

import laps
import numpy as np
import tensorwire


def main() -> None:
    """Laps of one call at a time."""
    task = laps.task()
    with tensorwire.Client(task.address) as client:

        def call() -> np.ndarray:
            return client.predict(task.model, {task.input_name: task.array})[task.output_name]

        laps.run_waiting(call)


if __name__ == "__main__":
    main()
