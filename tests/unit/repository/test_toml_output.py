from pathlib import Path

from tensorwire.config import Batching, load_config
from tensorwire.repository.model_config import ModelConfig
from tensorwire.repository.toml_models import TomlModels
from tensorwire.repository.toml_output import REDACTED, write_toml
from tensorwire.server import Server


def test_what_is_written_says_the_same(tmp_path: Path) -> None:
    settings = {
        "port": 8500,
        "host": "::1",
        "grace": "2s",
        "xla": True,
        "versions": "all",
        "batching": Batching(max_batch_size=8, allowed_batch_sizes=(2, 8)),
        "default_timeout": "5s",
        "keepalive_time": "none",
        "measure_cache": "off",
    }
    config = load_config(settings, {})
    models = [
        ModelConfig("b", "/models/b", versions=[3, 1], labels={"x": 3, 'a "b"': 1}),
        ModelConfig("a b", "s3://bucket/a", versions=2, transition="resource"),
        ModelConfig(
            "c", "/models/ü", batching=Batching.off(), options={"warmup": {"iterations": 1}}
        ),
    ]
    file = tmp_path / "tensorwire.toml"
    file.write_text(write_toml(config, models))
    again = load_config({"config": file}, {})
    assert write_toml(again, TomlModels(file)()) == file.read_text()
    assert TomlModels(file)() == sorted(models, key=lambda model: model.name)
    assert (again.listener, again.batches) == (config.listener, config.batches)
    assert again.engine == config.engine
    assert "# rest_port is not set" in file.read_text()


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    import dataclasses

    from tensorwire.pem import Pem

    config = load_config({}, {})
    key = Pem(None, "-----BEGIN PRIVATE KEY-----")
    certificate = Pem(tmp_path / "certificate.pem")
    tls = dataclasses.replace(config.listener.tls, tls_key=key, tls_certificate=certificate)
    listener = dataclasses.replace(config.listener, tls=tls)
    text = write_toml(dataclasses.replace(config, listener=listener), [])
    assert "PRIVATE" not in text
    assert f'tls_key = "{REDACTED}"' in text
    assert f'tls_certificate = "{tmp_path}/certificate.pem"' in text


def test_what_settings_say_of_one_model_is_in_its_table(tmp_path: Path) -> None:
    config = load_config({"no_batching": "a"}, {})
    file = tmp_path / "tensorwire.toml"
    models = [ModelConfig("a", "/a"), ModelConfig("b", "/b")]
    file.write_text(write_toml(config, models))
    a, b = TomlModels(file)()
    assert (a.batching, b.batching) == (Batching.off(), None)


def test_the_models_of_another_file_are_in_this_one(tmp_path: Path) -> None:
    listed = tmp_path / "models.config"
    log = f'log_collector_config {{ filename_prefix: "{tmp_path}/log" }}'
    listed.write_text(
        'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
        "model_version_policy { specific { versions: 3 } } "
        'version_labels { key: "x" value: 3 } '
        f"logging_config {{ {log} sampling_config {{ sampling_rate: 0.5 }} }} }} }}"
    )
    config = load_config({"model_config_file": listed, "port": 8500}, {})
    server = Server.from_config([], config)
    file = tmp_path / "tensorwire.toml"
    file.write_text(write_toml(config, server.configuration.values()))
    again = Server.from_config([], load_config({"config": file}, {}))
    assert again.configuration == server.configuration
    assert again.config.listener == config.listener
    assert str(listed) in file.read_text()
    # Where it lists none yet, it is still what is to be followed.
    listed.write_text("")
    file.write_text(write_toml(config, []))
    assert load_config({"config": file}, {}).lifecycle.model_config_file == listed
