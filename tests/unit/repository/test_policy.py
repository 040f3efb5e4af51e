from pathlib import Path

import pytest

from tensorwire.errors import ConfigError
from tensorwire.repository.policy import Latest
from tensorwire.repository.source import ModelVersion

OFFERED = [ModelVersion(number, Path(str(number))) for number in (3, 1, 20)]


def numbers(policy: Latest) -> list[int]:
    return [each.number for each in policy.wanted(OFFERED)]


def test_latest_takes_the_highest() -> None:
    assert numbers(Latest()) == [20]
    assert numbers(Latest(2)) == [20, 3]
    assert numbers(Latest(9)) == [20, 3, 1]
    assert Latest().wanted([]) == []


def test_latest_of_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be 0: at least 1"):
        Latest(0)
