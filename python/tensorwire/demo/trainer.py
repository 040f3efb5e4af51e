"""The training process: a small convolutional network on the digits, exported as a
SavedModel with the input `image` (float32 [batch, 8, 8]) and the outputs `label` (int64
[batch]) and `probabilities` (float32 [batch, 10]).

Run as a program: `trainer DIRECTORY`. It prints its progress as JSON lines.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

from .digits import load_digits

EPOCHS = 20
BATCH_SIZE = 64
SEED = 1


def _network(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            layers.Reshape((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def _export(keras: Any, model: Any, directory: str) -> None:
    import tensorflow

    def classify(image: Any) -> dict[str, Any]:
        probabilities = model(image, training=False)
        return {
            "label": tensorflow.argmax(probabilities, axis=-1, output_type=tensorflow.int64),
            "probabilities": probabilities,
        }

    image = tensorflow.TensorSpec([None, 8, 8], tensorflow.float32, name="image")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", classify, input_signature=[image])
    archive.write_out(directory, verbose=False)


def train(directory: str, progress: TextIO) -> None:
    """Trains, exports to `directory`, and writes a JSON line after each epoch."""

    def say(**fields: object) -> None:
        print(json.dumps(fields), file=progress, flush=True)

    import keras

    keras.utils.set_random_seed(SEED)
    training, held_out = load_digits()
    model = _network(keras)
    model.compile(
        optimizer=keras.optimizers.Adam(2e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )

    def after_epoch(epoch: int, logs: dict[str, float]) -> None:
        say(epoch=epoch + 1, epochs=EPOCHS, accuracy=float(logs["accuracy"]))

    say(epoch=0, epochs=EPOCHS, accuracy=0.0)
    model.fit(
        training.images,
        training.labels,
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)],
    )
    _, accuracy = model.evaluate(held_out.images, held_out.labels, verbose=0)
    _export(keras, model, directory)
    say(held_out_accuracy=float(accuracy))


def main(arguments: list[str]) -> int:
    """The program: 0, or a traceback on standard error."""
    # TensorFlow and Keras print where they like; progress has a stream of its own.
    progress = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    (directory,) = arguments
    train(directory, progress)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
