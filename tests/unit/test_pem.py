"""What is taken for a certificate or a key, and that no message repeats a key."""

import base64
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import tensorwire as tw
from tensorwire.config import load_config
from tensorwire.errors import ConfigError

DER = base64.b64encode(bytes([0x30, 0x81, 0x87, 2, 1, 0]) + os.urandom(120)).decode()
NO_KEYS = {
    "one line of base64": DER,
    "lines of base64": "\n".join(DER[at : at + 64] for at in range(0, len(DER), 64)),
    "without its dashes": f"BEGIN PRIVATE KEY {DER}",
    "binary": base64.b64decode(DER),
}


def by_setting(value: object) -> None:
    load_config({"tls_key": value}, {})


def by_client(value: object) -> None:
    tw.Tls(key=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("use", [by_setting, by_client])
@pytest.mark.parametrize("value", NO_KEYS.values(), ids=NO_KEYS)
def test_what_may_be_a_key_is_not_repeated(
    use: Callable[[object], None], value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="it is no PEM text") as refused:
        use(value)
    message = str(refused.value)
    assert "key" in message
    assert DER[20:30] not in message
    assert len(message) < 200


@pytest.mark.parametrize("use", [by_client])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("nowhere.pem", "there is no file"),
        ("~nobody-has-this-name/key.pem", "home"),
        ("x/" * 3000 + "key.pem", "File name too long"),
    ],
)
def test_paths_that_lead_nowhere(use: Callable[[object], None], path: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        use(path)


def test_a_folder_that_may_not_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", forbidden)
    with pytest.raises(ConfigError, match="Permission denied") as refused:
        tw.Tls(key="/private/key.pem")
    assert "/private/key.pem" in str(refused.value)
