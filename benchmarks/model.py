"""The model that every contestant serves, one row for it, and TensorFlow's answer.

The answer comes from TensorFlow in a process of its own, so that this process stays
small and starts no threads of TensorFlow's beside the servers it measures.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paths import REPOSITORY
from trouble import BenchmarkError

NAME = "mlp"
INPUT = "x"
OUTPUT = "y"
WIDTH = 32

# What people write who want one prediction in Python; it is also the rival of the
# measurement from process start to first prediction.
PREDICT_SOURCE = f"""\
import json
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
prediction = model(tf.constant([json.loads(sys.argv[2])]))
print(float(prediction[{json.dumps(OUTPUT)}].numpy()[0, 0]), flush=True)
"""


@dataclass(frozen=True)
class Model:
    """A SavedModel of a 32-64-64-1 network.

    `folder` is the version folder, `row` a float [32], `expected` the float that
    TensorFlow answers for it.
    """

    folder: Path
    row: tuple[float, ...]
    expected: float

    def difference(self, answer: float) -> str | None:
        """What is wrong with an answer; `None`: nothing. Servers may sum in another
        order or round to print, so the last digits are not looked at."""
        if abs(answer - self.expected) <= 1e-4 * max(1.0, abs(self.expected)):
            return None
        return f"it answered {answer}, TensorFlow {self.expected}"


def prepare() -> Model:
    """Builds the test models where that was not done before, and asks TensorFlow."""
    folder = models_folder() / NAME / "1"
    # Sixteenths are exact in binary and short in JSON.
    row = tuple((index * 7 % WIDTH) / 16 - 1 for index in range(WIDTH))
    answer = _last_line(predict_command(folder, row), "load and run the model in TensorFlow")
    return Model(folder, row, float(answer))


def models_folder() -> Path:
    """Where the test models are, built if they were not."""
    script = REPOSITORY / "tests" / "models" / "make_models.py"
    return Path(_last_line([sys.executable, str(script)], "build the test models"))


def predict_command(folder: Path, row: Sequence[float]) -> list[str]:
    """A Python process that loads the model, predicts `row` and prints the answer."""
    return [sys.executable, "-c", PREDICT_SOURCE, str(folder), str(list(row))]


def _last_line(command: list[str], purpose: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"Could not {purpose} within {error.timeout:.0f} s.") from error
    lines = done.stdout.split("\n")
    if done.returncode != 0 or len(lines) < 2:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"Could not {purpose} (exit code {done.returncode}): {reason}")
    return lines[-2]
