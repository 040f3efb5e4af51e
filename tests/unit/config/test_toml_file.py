import logging
from pathlib import Path

import pytest

from tensorwire.config import Batching, load_config
from tensorwire.errors import ConfigError
from tensorwire.repository.policy import All, Latest, Specific
from tensorwire.repository.toml_models import TomlModels


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tensorwire.toml"


def refusal(file: Path, text: str) -> str:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config({"config": file}, {})
        TomlModels(file)()
    assert str(caught.value).startswith(str(file))
    return str(caught.value).removeprefix(str(file))


def test_settings_count_less_than_the_environment_and_flags(file: Path) -> None:
    library = file.with_name("ops.so")
    library.touch()
    file.write_text(
        '[server]\nport = 1\nhost = "::1"\ngrace = "2s"\nxla = true\nop_library = ["./ops.so"]\n'
        "versions = [3, 4]\nmax_batch_size = 16\n"
        "[server.batching]\nmax_enqueued_batches = 3\n"
    )
    environ = {"TENSORWIRE_CONFIG": str(file), "TENSORWIRE_HOST": "0.0.0.0"}
    config = load_config({"port": 2}, environ)
    assert (config.listener.port, config.listener.host, config.grace) == (2, "0.0.0.0", 2.0)
    assert config.engine.op_library == (library,)
    assert config.engine.session.xla is True
    assert config.lifecycle.versions == Specific(frozenset({3, 4}))
    assert config.batches.batching == Batching(max_batch_size=16, max_enqueued_batches=3)


def test_models(file: Path, tmp_path: Path) -> None:
    file.write_text(
        """
        [models.digits]
        path = "./exports/digits"
        versions = "all"
        labels = { stable = 3, canary = 4 }
        transition = "resource"
        batching = { max_batch_size = 32, allowed_batch_sizes = [1, 32] }
        warmup = { failing = "warn" }

        [models."other model"]
        path = "s3://bucket/m"
        versions = 2
        batching = false

        [models.plain]
        path = "plain"
        """
    )
    digits, other, plain = TomlModels(file)()
    assert (digits.name, digits.path) == ("digits", str(tmp_path / "exports" / "digits"))
    assert (digits.policy, digits.labels) == (All(), {"stable": 3, "canary": 4})
    assert digits.batching == Batching(max_batch_size=32, allowed_batch_sizes=(1, 32))
    assert (digits.transition, digits.options) == ("resource", {"warmup": {"failing": "warn"}})
    assert (other.name, other.path, other.policy) == ("other model", "s3://bucket/m", Latest(2))
    assert other.batching == Batching.off()
    assert (plain.path, plain.versions, plain.batching) == (str(tmp_path / "plain"), None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[server\n", " is not TOML: Expected ']'"),
        ("[sever]\n", ": has no 'sever'; did you mean 'server'?"),
        ("server = 3\n", ": [server] must be a table; it is 3"),
        ("[server]\nprot = 1\n", ": [server] has no 'prot'; did you mean 'port'?"),
        ("[server]\nport = 99999\n", ": [server] port can't be '99999': it is not between"),
        ("[server]\nport = true\n", ": [server] port can't be 'True': it is not a whole number"),
        ("[server]\nmodel_batching = {}\n", "can't have 'model_batching': say it in [models."),
        ("[server]\nbatching = {max_batch = 1}\n", "batching has no 'max_batch'; did you mean"),
        ("[server]\nbatching = {max_batch_size = 0}\n", "batching: max_batch_size must be posi"),
        ("[models]\nm = 3\n", ": [models.m] must be a table; it is 3"),
        ("[models.m]\n", ": [models.m] needs a path, a text; it is None"),
        ('[models.m]\npath = "x"\nlabel = {}\n', "has no 'label'; did you mean 'labels'?"),
        ('[models.m]\npath = "x"\nlabels = 3\n', ": [models.m] labels must be a table; it is 3"),
        ('[models.m]\npath = "x"\nversions = "new"\n', "versions of model 'm' can't be 'new'"),
        ('[models.m]\npath = "x"\nversions = [1]\nlabels = {a = 2}\n', "label to version 2"),
        ('[models.m]\npath = "x"\ntransition = "fast"\n', "none of availability, resource"),
        ('[models.m]\npath = "x"\nwarmup = {n = 1}\n', "warm-up of model 'm' has no 'n'"),
        ('[models.m]\npath = "x"\nwarmup = {iterations = "x"}\n', "can't be 'x': it is not a wh"),
        ('[models.m]\npath = "x"\nlogging = {n = 1}\n', "log of model 'm' has no 'n'"),
        ('[models.m]\npath = "x"\nlogging = {format = "jsonl"}\n', "needs a prefix"),
        ('[models."a/b"]\npath = "x"\n', "the model name 'a/b' can't contain '/'"),
        ("a = \x01", " is not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(file: Path, text: str, says: str) -> None:
    assert says in refusal(file, text)


def test_a_file_that_is_not_text(file: Path) -> None:
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not TOML: byte 0 is not text"):
        load_config({"config": file}, {})


def test_changed_settings_are_warned_of_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = '[models.m]\npath = "m"\n'
    file.write_text(f"[server]\nport = 1\n{models}")
    read = TomlModels(file)
    read()
    file.write_text(f"[server]\nport = 2\n{models}")
    with caplog.at_level(logging.WARNING, "tensorwire.repository"):
        read()
        read()
    assert caplog.messages == [
        f"{file}: [server] port changed; that counts from the next start on"
    ]


def test_paths_in_it_are_relative_to_its_folder_wherever_they_stand(file: Path) -> None:
    file.with_name("b.txt").write_text("max_batch_size { value: 7 }")
    file.write_text(
        """
        [server]
        log_requests = { m = "./logs/", n = "../n" }
        batching_parameters = ["m=./b.txt"]

        [models.m]
        path = "m"
        logging = { prefix = "./own/log" }
        """
    )
    config = load_config({"config": file}, {})
    folder = file.parent
    assert config.batches.model_batching == {"m": Batching(max_batch_size=7)}
    prefixes = {"m": f"{folder}/logs/", "n": f"{folder}/../n"}
    assert dict(config.request_logs.log_requests) == prefixes
    (model,) = TomlModels(file)()
    assert model.options == {"logging": {"prefix": f"{folder}/own/log"}}
