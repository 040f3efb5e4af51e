import io

import click
import numpy as np
import pytest
from PIL import Image

from tensorwire.cli import images
from tensorwire.cli.images import Scale, parse_scale, read_image
from tensorwire.cli.wanted import WantedInput


def png(width: int, height: int, colour: tuple[int, ...], mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), colour).save(buffer, "png")
    return buffer.getvalue()


def wanted(dtype: str, *shape: int | None) -> WantedInput:
    return WantedInput("image", np.dtype(dtype), shape)


UNIT = Scale(0, 1)


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [
        ((None, 8, 6, 3), (8, 6, 3)),
        ((None, 8, 6, 1), (8, 6, 1)),
        ((None, None, None, 3), (20, 10, 3)),
        ((None, None, None, None), (20, 10, 3)),
        ((None, 8, 8), (8, 8)),
        ((8, 8, 3), (8, 8, 3)),
        ((8, 8), (8, 8)),
    ],
)
def test_an_image_is_fitted_to_the_signature(
    shape: tuple[int | None, ...], becomes: tuple[int, ...]
) -> None:
    array = read_image(png(10, 20, (255, 255, 255)), wanted("float32", *shape), UNIT, "a.png")
    assert array.shape == becomes
    assert array.dtype == np.float32
    assert (array == 1).all()


def test_16_bit_greys_are_scaled() -> None:
    greys = np.array([[0, 32768, 65535]], np.uint16)
    for mode in (np.uint16, np.int32):
        buffer = io.BytesIO()
        Image.fromarray(greys.astype(mode)).save(buffer, "tiff" if mode is np.int32 else "png")
        array = read_image(buffer.getvalue(), wanted("float32", None, 1, 3, 1), UNIT, "a.png")
        np.testing.assert_allclose(array.ravel(), [0, 0.5, 1], atol=0.003)
    coloured = read_image(buffer.getvalue(), wanted("uint8", None, 1, 3, 3), UNIT, "a.png")
    assert coloured.tolist() == [[[0] * 3, [128] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("pixel", "says"), [(np.int32(65536), "more than 16 bits"), (np.float32(0.5), "are floats")]
)
def test_pixels_of_no_known_range(pixel: np.generic, says: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[pixel]])).save(buffer, "tiff")
    with pytest.raises(click.BadParameter, match=says):
        read_image(buffer.getvalue(), wanted("float32", None, 1, 1, 1), UNIT, "a.tif")


def test_what_is_transparent_becomes_white() -> None:
    clear = png(1, 1, (0, 0, 0, 0), "RGBA")
    half = png(1, 1, (255, 0, 0, 128), "RGBA")
    for content, pixel in ((clear, [255, 255, 255]), (half, [255, 127, 127])):
        array = read_image(content, wanted("uint8", None, 1, 1, 3), UNIT, "a.png")
        np.testing.assert_allclose(array.ravel(), pixel, atol=1)
    assert read_image(clear, wanted("uint8", None, 1, 1, 1), UNIT, "a.png").ravel() == [255]
    whole = read_image(half, wanted("uint8", None, 1, 1, 4), UNIT, "a.png")
    assert whole.ravel().tolist() == [255, 0, 0, 128]


def test_scales() -> None:
    content = png(1, 1, (255, 0, 51))
    spec = wanted("float32", None, 1, 1, 3)
    signed = read_image(content, spec, parse_scale("-1..1"), "a.png")
    np.testing.assert_allclose(signed.ravel(), [1, -1, -0.6], rtol=1e-6)
    whole = read_image(content, wanted("uint8", None, 1, 1, 3), UNIT, "a.png")
    assert whole.ravel().tolist() == [255, 0, 51]
    for text in ("1", "a..b", ".."):
        with pytest.raises(ValueError, match=r"it is not of the form|could not convert"):
            parse_scale(text)


@pytest.mark.parametrize(
    ("content", "shape", "says"),
    [
        (b"\x89PNG broken", (None, 8, 8, 3), "a.png can't be read as an image"),
        (png(2, 2, (0, 0, 0)), (None,), "of shape [?] does not take an image"),
        (png(2, 2, (0, 0, 0)), (None, 8, 8, 7), "does not take an image"),
    ],
)
def test_images_that_do_not_go(content: bytes, shape: tuple[int | None, ...], says: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        read_image(content, wanted("float32", *shape), UNIT, "a.png")
    assert says in caught.value.message


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(click.BadParameter) as caught:
        read_image(png(1, 1, (0, 0, 0)), wanted("float32", None, 1, 1, 3), UNIT, "a.png")
    assert "pip install pillow" in caught.value.message
