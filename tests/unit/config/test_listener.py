"""Settings of the network that contradict each other."""

from typing import Any

import pytest

from tensorwire.config import load_config
from tensorwire.errors import ConfigError

PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
TLS = {"tls_certificate": PEM, "tls_key": PEM}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"tls_on": ""}, id="named nowhere"),
        pytest.param({"tls_on": "rest_port"}, id="a place that is not listened on"),
        pytest.param({"port": "off", "unix_socket": "@x"}, id="in the clear by default"),
    ],
)
def test_a_certificate_that_is_shown_nowhere(settings: dict[str, Any]) -> None:
    """Whoever gives one must not serve in the clear without a word."""
    with pytest.raises(ConfigError, match="TLS would be spoken nowhere: tls_on is"):
        load_config(TLS | settings, {})


def test_a_certificate_that_is_shown_somewhere() -> None:
    for settings in ({}, {"rest_port": 0, "tls_on": "rest_port"}, {"tls_on": "port"}):
        load_config(TLS | settings, {})
