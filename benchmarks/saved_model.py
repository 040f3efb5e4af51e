"""A SavedModel with one float input and one float output: a row for it, TensorFlow's
answer, and what its tensors are called in the graph, which the bare program must know.
"""

import json
import math
import subprocess
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paths import REPOSITORY, WORK
from trouble import BenchmarkError

TIMEOUT_SECONDS = 300.0

# A process of its own, so that this one stays small and starts none of TensorFlow's threads.
LOOK_SOURCE = """\
import json
import sys
import numpy as np
import tensorflow as tf
folder, row_file, shape = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
signature = tf.saved_model.load(folder).signatures["serving_default"]
[(alias, _)] = signature.structured_input_signature[1].items()
[output] = signature.structured_outputs
row = tf.constant(np.fromfile(row_file, np.float32).reshape([1, *shape]))
answer = signature(**{alias: row})[output].numpy().ravel().tolist()
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
graph = SavedModel.FromString(open(folder + "/saved_model.pb", "rb").read()).meta_graphs[0]
wire = graph.signature_def["serving_default"]
print(json.dumps({
    "input": alias, "output": output, "answer": answer,
    "input_tensor": wire.inputs[alias].name, "output_tensor": wire.outputs[output].name,
}))
"""


@dataclass(frozen=True)
class SavedModel:
    """`folder` is the version folder; `shape` is that of a row, without the batch;
    `row` and `expected` are its values and TensorFlow's answer; `input` and `output` are
    the signature's names, `input_tensor` and `output_tensor` the graph's."""

    name: str
    folder: Path
    shape: tuple[int, ...]
    row: "array[float]"
    expected: Sequence[float]
    input: str
    output: str
    input_tensor: str = ""
    output_tensor: str = ""

    @property
    def row_file(self) -> Path:
        """The row's values as they are in memory."""
        return WORK / "rows" / self.name

    def difference(self, values: Sequence[float]) -> str | None:
        """What is wrong with the first values of an answer; `None`: nothing. Sums may
        be in another order in a batch, so the last digits are not looked at."""
        size = max(abs(value) for value in self.expected)
        for index, (value, wanted) in enumerate(zip(values, self.expected, strict=False)):
            if not abs(value - wanted) <= 1e-4 * size:
                return f"value {index} of the answer is {value}, TensorFlow's {wanted}"
        return None if len(values) else "the answer has no values"


def look_into(name: str, folder: Path, shape: tuple[int, ...]) -> SavedModel:
    """Asks TensorFlow about the model and for its answer to a row of fixed numbers."""
    row = fixed_row(shape)
    row_file = WORK / "rows" / name
    row_file.parent.mkdir(parents=True, exist_ok=True)
    row_file.write_bytes(row.tobytes())
    arguments = [str(folder), str(row_file), json.dumps(shape)]
    found = json.loads(_last_line([sys.executable, "-c", LOOK_SOURCE, *arguments], f"run {name}"))
    return SavedModel(name, folder, shape, row, found.pop("answer"), **found)


def mobilenet() -> SavedModel:
    """MobileNetV2 for 224x224 images, built where that was not done before."""
    script = REPOSITORY / "tests" / "models" / "large.py"
    built = Path(_last_line([sys.executable, str(script)], "build the large model"))
    return look_into("mobilenet_v2", built / "mobilenet_v2" / "1", (224, 224, 3))


def large_model() -> Path:
    """The folder of a model with 500 MB of weights, built where that was not done before."""
    script = REPOSITORY / "tests" / "models" / "large.py"
    built = Path(_last_line([sys.executable, str(script)], "build the large models"))
    return built / "weights_500mb"


def fixed_row(shape: tuple[int, ...]) -> "array[float]":
    """Numbers from -1 to 1 that follow no simple pattern and are exact in binary."""
    scattered = (index * 2654435761 % 2**32 // 2**22 for index in range(math.prod(shape)))
    return array("f", (value / 512 - 1 for value in scattered))


def _last_line(command: list[str], purpose: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"Could not {purpose} within {error.timeout:.0f} s.") from error
    lines = done.stdout.split("\n")
    if done.returncode != 0 or len(lines) < 2:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise BenchmarkError(f"Could not {purpose} (exit code {done.returncode}): {reason}")
    return lines[-2]
