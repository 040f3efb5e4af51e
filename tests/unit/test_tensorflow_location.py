import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

import pytest

from tensorwire import tensorflow_location
from tensorwire.errors import TensorFlowMissingError
from tensorwire.tensorflow_location import find_tensorflow


def test_without_tensorflow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TensorFlowMissingError, match=r"pip install 'tensorwire\[server\]'"):
        find_tensorflow()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("2.19.1", "TensorFlow 2.19.1 is too old: TensorWire works with 2.20 to 2.21"),
        ("1.15", "too old"),
        ("2.22.0rc1", "too new"),
        ("3.0", "too new"),
    ],
)
def test_versions_that_are_not_tested(
    version: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow_location, "_installed_version", lambda: version)
    with pytest.raises(TensorFlowMissingError) as caught:
        find_tensorflow()
    assert says in str(caught.value)
    assert "pip install" in str(caught.value)


@pytest.mark.parametrize("version", ["2.20.0", "2.21.1", "2.21.0rc0", None, "unknown"])
def test_versions_that_are(version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_location, "_installed_version", lambda: version)
    assert (find_tensorflow() / "__init__.py").is_file()


def test_tensorflow_is_found_without_an_import() -> None:
    before = "tensorflow" in sys.modules
    assert find_tensorflow().name == "tensorflow"
    assert ("tensorflow" in sys.modules) is before


def test_the_version_comes_from_any_of_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "tensorflow-cpu":
            return "2.21.0"
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert tensorflow_location._installed_version() == "2.21.0"


def test_the_log_level_is_a_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert find_tensorflow(tmp_path) == tmp_path
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    find_tensorflow(tmp_path)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"
