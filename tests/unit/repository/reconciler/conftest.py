"""The reconciler, step by step: no thread, no sleep, a clock that is moved."""

import pytest

from harness.repository_doubles import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
