"""Image files as inputs, fitted to the signature's height, width and channels."""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from .wanted import WantedInput, describe_shape

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_BRIGHTEST = 255.0
_BRIGHTEST_OF_16_BITS = 65535


@dataclass(frozen=True)
class Scale:
    """What black and white become in a float input."""

    black: float
    white: float


UNIT_SCALE = Scale(0.0, 1.0)


def parse_scale(text: str) -> Scale:
    """A scale from `0..1`, `-1..1`, `0..255`; ValueError if it is none."""
    black, dots, white = text.partition("..")
    if not dots:
        raise ValueError("it is not of the form BLACK..WHITE, such as 0..1 or -1..1")
    return Scale(float(black), float(white))


def is_image(content: bytes) -> bool:
    """It begins as image files do."""
    return content.startswith(_MAGICS) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def read_image(content: bytes, wanted: WantedInput, scale: Scale, source: str) -> NDArray[Any]:
    """The image as [height, width, channels], or [height, width] where the signature has
    no channels; resized to the sizes it fixes.

    Float inputs are scaled, others hold 0 to 255: 16-bit greys too. What is transparent
    becomes white unless the input has a channel for it. Raises BadParameter if it can't
    be read or the input's shape is not an image's.
    """
    if importlib.util.find_spec("PIL") is None:
        raise click.BadParameter(f"reading {source} needs Pillow: pip install pillow")
    from PIL import Image

    height, width, channels = _layout(wanted)
    try:
        with Image.open(io.BytesIO(content)) as image:
            fitted = _in_mode(image, _MODES[channels or 1])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise click.BadParameter(f"{source} can't be read as an image: {error}") from None
    size = (width or fitted.width, height or fitted.height)
    if fitted.size != size:
        fitted = fitted.resize(size, Image.Resampling.BILINEAR)
    pixels = np.asarray(fitted)
    if channels and pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if not wanted.is_float:
        return pixels.astype(wanted.dtype)
    span = scale.white - scale.black
    return (pixels / _BRIGHTEST * span + scale.black).astype(wanted.dtype)


def _in_mode(image: Any, mode: str) -> Any:
    """The image in one of `_MODES`; ValueError for pixels without a known brightest."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("its pixels are floats, of no known range: give them as .npy")
    if image.mode.startswith("I"):
        # Pillow would cut these off at 255.
        greys = np.asarray(image).astype(np.int64)
        if greys.min() < 0 or greys.max() > _BRIGHTEST_OF_16_BITS:
            raise ValueError("its pixels have more than 16 bits: give them as .npy")
        image = Image.fromarray(np.rint(greys * (_BRIGHTEST / _BRIGHTEST_OF_16_BITS)).astype("u1"))
    see_through = "A" in image.getbands() or "transparency" in image.info
    if see_through and "A" not in mode:
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        image = Image.alpha_composite(white, opaque)
    return image.convert(mode)


def _layout(wanted: WantedInput) -> tuple[int | None, int | None, int | None]:
    """Height, width (None: as the image is) and channels (None: no such dimension)."""
    shape = wanted.shape
    if shape is None:
        return None, None, 3
    if len(shape) == 4:
        channels = shape[3] or 3
        if channels in _MODES:
            return shape[1], shape[2], channels
    if len(shape) == 3:
        if shape[2] in (1, 3, 4):
            return shape[0], shape[1], shape[2]
        return shape[1], shape[2], None
    if len(shape) == 2:
        return shape[0], shape[1], None
    raise click.BadParameter(
        f"the input {wanted.name} of shape {describe_shape(shape)} does not take an image: "
        "that would be [batch, height, width, channels] with 1 to 4 channels"
    )
