from pathlib import Path

import numpy as np

import tensorwire.demo
from tensorwire.demo.digits import draw, load_digits

ROOT = Path(__file__).parents[3]


def test_the_split_is_always_the_same() -> None:
    training, held_out = load_digits()
    assert training.images.shape == (1347, 8, 8)
    assert held_out.images.shape == (450, 8, 8)
    assert training.images.dtype == np.float32
    assert (training.images.min(), training.images.max()) == (0, 1)
    assert set(held_out.labels) == set(range(10))
    np.testing.assert_array_equal(load_digits()[1].images, held_out.images)


def test_a_drawing_is_square() -> None:
    lines = draw(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    assert [len(line) for line in lines] == [16] * 8
    assert lines[0].startswith("  ")
    assert lines[-1].endswith("██")


def test_the_demo_carries_the_contract_as_it_is() -> None:
    carried = Path(tensorwire.demo.__file__).parent / "prediction_service.proto"
    assert carried.read_bytes() == (ROOT / "proto" / "prediction_service.proto").read_bytes()
