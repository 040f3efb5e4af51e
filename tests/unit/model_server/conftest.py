"""Puts the loggers back that a program has set up for itself."""

import logging
from collections.abc import Iterator

import pytest

from tensorwire.logs import LOGGERS


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    before = [(each, vars(each).copy()) for each in map(logging.getLogger, LOGGERS)]
    yield
    for logger, values in before:
        logger.handlers, logger.propagate = values["handlers"], values["propagate"]
        logger.setLevel(values["level"])
