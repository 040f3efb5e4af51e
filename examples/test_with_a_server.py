"""A test of your own code against a real server, in the test's own process.

MODEL=./half_plus_two pytest examples/test_with_a_server.py
"""

import os
from collections.abc import Iterator

import numpy as np
import pytest

import tensorwire as tw


@pytest.fixture(scope="module")
def server() -> Iterator[tw.Server]:
    """On port 0, any free one, so that tests can run side by side."""
    with tw.Server({"half_plus_two": os.environ["MODEL"]}, port=0) as server:
        yield server


def test_prediction(server: tw.Server) -> None:
    """Through a client, over the network."""
    with tw.Client(server.address, timeout=10.0) as client:
        outputs = client.predict("half_plus_two", {"x": np.array([2.0], np.float32)})
    np.testing.assert_array_equal(outputs["y"], [3.0])


def test_the_same_without_a_server() -> None:
    """By the same engine, called directly."""
    with tw.Model(os.environ["MODEL"]) as model:
        np.testing.assert_array_equal(model.predict([2.0])["y"], [3.0])
