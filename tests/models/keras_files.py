"""The same little Keras model as `keras_model.keras`, `keras_model.h5` and a SavedModel."""

import warnings
from pathlib import Path

import keras


def make(out: Path) -> None:
    keras.utils.set_random_seed(3)
    image = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")(image)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="scores")(hidden))
    model.save(out / "keras_model.keras")
    with warnings.catch_warnings():
        # Keras calls its own HDF5 format a legacy one; people still have such files.
        warnings.simplefilter("ignore")
        model.save(out / "keras_model.h5")
    model.export(out / "keras_export" / "1", verbose=False)
