import os

import pytest

from tensorwire.opening_noise import opening_noise_filtered

TENSORFLOW = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795362386.525202    4576 cudart_stub.cc:31] Could not find cuda drivers\n"
)
ERROR = b"E0000 00:00:1795362386.685543    4576 cuda_platform.cc:52] failed call to cuInit\n"


@pytest.mark.parametrize(
    ("level", "kept"), [("1", ERROR + b"of ours\n"), ("3", b"of ours\n"), ("x", None)]
)
def test_only_lines_below_the_level_go(
    level: str,
    kept: bytes | None,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with opening_noise_filtered():
        os.write(2, TENSORFLOW + ERROR + b"of ours\n")
        assert capfdbinary.readouterr().err == b""
    everything = TENSORFLOW.splitlines(keepends=True)[1] + ERROR + b"of ours\n"
    assert capfdbinary.readouterr().err == (everything if kept is None else kept)


def test_what_was_held_back_comes_out_after_an_error(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with pytest.raises(KeyError), opening_noise_filtered():
        os.write(2, b"last words\n")
        raise KeyError
    assert capfdbinary.readouterr().err == b"last words\n"
