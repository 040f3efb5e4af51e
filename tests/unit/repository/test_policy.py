import pytest

from tensorwire.errors import ConfigError
from tensorwire.repository.policy import All, Latest, Specific, VersionPolicy, parse_policy
from tensorwire.repository.source import ModelVersion

OFFERED = [ModelVersion(number, str(number)) for number in (3, 1, 20)]


def numbers(policy: VersionPolicy) -> list[int]:
    return [each.number for each in policy.wanted(OFFERED)]


def test_latest_takes_the_highest() -> None:
    assert numbers(Latest()) == [20]
    assert numbers(Latest(2)) == [20, 3]
    assert numbers(Latest(9)) == [20, 3, 1]
    assert Latest().wanted([]) == []


def test_latest_of_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be 0: at least 1"):
        Latest(0)


def test_all_and_specific() -> None:
    assert numbers(All()) == [20, 3, 1]
    policy = Specific(frozenset({3, 1, 7}))
    assert numbers(policy) == [3, 1]
    assert policy.missing(OFFERED) == [7]


def test_settings() -> None:
    assert parse_policy("Latest") == Latest()
    assert parse_policy(2) == parse_policy("2") == Latest(2)
    assert parse_policy("all") == All()
    assert parse_policy("1, 2") == parse_policy([2, 1]) == Specific(frozenset({1, 2}))
    assert parse_policy(All()) == All()
    assert parse_policy("3,") == Specific(frozenset({3}))
    for wrong in ("3,x", "newest", 0, -1, True, None, 1.5, [1.5], [-1], [True], [2**63]):
        with pytest.raises(ValueError, match=r"it is not|is not a version"):
            parse_policy(wrong)
