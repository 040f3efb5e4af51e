"""scikit-learn's handwritten digits: 1,797 real images of 8 x 8 pixels, in the package."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE = 0.25
SPLIT_SEED = 7
BRIGHTEST_PIXEL = 16.0
_SHADES = " ░▒▓█"


@dataclass(frozen=True)
class Digits:
    """Images and what they show."""

    images: NDArray[np.float32]
    """[count, 8, 8], 0 (paper) to 1 (ink)."""

    labels: NDArray[np.int64]
    """[count], 0 to 9."""


def load_digits() -> tuple[Digits, Digits]:
    """Those to train with and those held out, always split in the same way."""
    from sklearn import datasets, model_selection

    data = datasets.load_digits()
    images = (data.images / BRIGHTEST_PIXEL).astype(np.float32)
    labels = data.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = model_selection.train_test_split(
        images, labels, test_size=HELD_OUT_SHARE, random_state=SPLIT_SEED, stratify=labels
    )
    return Digits(train_images, train_labels), Digits(test_images, test_labels)


def draw(image: NDArray[np.float32]) -> list[str]:
    """An image as lines of text, each pixel two characters wide: about square."""
    levels = np.clip(np.rint(image * (len(_SHADES) - 1)), 0, len(_SHADES) - 1).astype(int)
    return ["".join(_SHADES[level] * 2 for level in row) for row in levels]
