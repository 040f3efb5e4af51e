"""A `Server` over a core that only writes down what it is told."""

from pathlib import Path

import pytest

from harness.server_doubles import RecordingCore
from tensorwire import server as server_module


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> RecordingCore:
    made = RecordingCore()
    monkeypatch.setattr(server_module, "open_engine", lambda config: made)
    monkeypatch.setattr(server_module._core, "Server", made.listen)
    return made


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").touch()
    return {name: tmp_path / name for name in ("a", "b")}
