"""`tensorwire warmup record`, where no TensorFlow is needed to see it."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tensorwire._core import frame_record
from tensorwire.cli import warmup as warmup_module
from tensorwire.cli.program import program
from tensorwire.errors import ModelLoadError
from tensorwire.messages import new_message
from tensorwire.recorded.logs import LOG
from tensorwire.repository.local_source import list_versions


@pytest.fixture
def model(tmp_path: Path) -> Path:
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").touch()
    return version.parent


@pytest.fixture
def log(tmp_path: Path) -> Path:
    message = new_message(LOG)
    message.predict_log.request.model_spec.name = "m"
    file = tmp_path / "log"
    file.write_bytes(frame_record(message.SerializeToString()))
    return file


@pytest.mark.parametrize("fails", [False, True])
def test_a_version_is_left_alone_until_its_records_are_checked(
    model: Path, log: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """It may be served, and any file in its folder would have it loaded again."""

    def stamp() -> str:
        (version,) = list_versions(model)
        return version.stamp

    before = stamp()
    checked: list[bytes] = []

    def check(_model: Path, records: Path) -> None:
        checked.append(records.read_bytes())
        assert stamp() == before
        if fails:
            raise ModelLoadError("nothing was written")

    monkeypatch.setattr(warmup_module, "_check", check)
    words: list[Any] = ["warmup", "record", str(model), "--from-log", str(log)]
    result = CliRunner().invoke(program, words)
    assert checked == [log.read_bytes()], result.output
    assert isinstance(result.exception, ModelLoadError) is fails
    assert (stamp() == before) is fails
    file = model / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert file.exists() is not fails
    assert fails or [each.name for each in file.parent.iterdir()] == [file.name]
