import pytest

from tensorwire.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 2**20),
        ("64MiB", 64 * 2**20),
        ("64 mib", 64 * 2**20),
        ("1.5GB", 1_500_000_000),
        ("2KiB", 2048),
        (" 7b ", 7),
        (12, 12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "12 parsecs", "-1", "1e3", "0.3b", "1,5GB", "٣"])
def test_not_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="it"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30.0), ("30s", 30.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), (0.25, 0.25)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1d", "-3s", "inf"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match="it"):
        parse_duration(text)


def test_formats() -> None:
    assert format_size(64 * 2**20) == "64MiB"
    assert format_size(1000) == "1000 bytes"
    assert format_duration(0.25) == "250 ms"
    assert format_duration(30.0) == "30 s"
    assert format_duration(3600.4) == "3600 s"
