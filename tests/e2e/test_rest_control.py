"""Models changed over REST while clients call, and asked for by label there."""

import json
from collections.abc import Callable
from pathlib import Path

from harness.rest import Answer, RestClient
from harness.server_process import ServerProcess, model_arguments
from harness.traffic import Traffic, half_plus_two
from harness.versions import Versions

Start = Callable[..., ServerProcess]


def change(rest: RestClient, model: str, verb: str, **body: object) -> Answer:
    return rest.ask("POST", f"/v1/models/{model}:{verb}", json.dumps(body) if body else b"")


def test_one_model_is_added_labelled_and_removed(
    models: Path, start: Start, tmp_path: Path
) -> None:
    folder = str(Versions(models, tmp_path / "m").add(1, 2).folder)
    arguments = model_arguments({"half": models / "half_plus_two"})
    process = start(*arguments, "--measure-budget", "0").wait_serving()
    with (
        RestClient(process.port) as rest,
        Traffic([process.channel()], half_plus_two("half")) as traffic,
    ):
        config = {
            "base_path": folder,
            "model_version_policy": {"all": {}},
            "version_labels": {"stable": 1, "canary ä": 2},
        }
        answer = change(rest, "m", "load", **config)
        assert answer.status == 200, answer.body
        versions = answer.json["model"]["versions"]
        assert [(each["version"], each["state"]) for each in versions] == [
            ("2", "AVAILABLE"),
            ("1", "AVAILABLE"),
        ]
        row = {"instances": [2.0]}
        for path, version, wanted in (
            ("m", "2", [4.0]),
            ("m/versions/1", "1", [3.0]),
            ("m/labels/stable", "1", [3.0]),
            ("m/LABELS/canary%20%C3%A4", "2", [4.0]),
        ):
            found = rest.post(path, row)
            assert found.json == {"predictions": wanted}
            assert found.headers["tensorwire-model-version"] == version
        assert rest.get("/v1/models/m/labels/stable/metadata").json["model_spec"]["version"] == "1"
        # What is read back is what was asked for, and can be asked for again.
        configured = rest.get("/v1/config").json["config"]["model_config_list"]["config"]
        told = {each["name"]: each for each in configured}
        assert told["m"]["version_labels"] == {"stable": "1", "canary ä": "2"}
        assert change(rest, "m", "load", **told["m"]).status == 200
        moved = {**config, "version_labels": {"stable": 2}}
        assert change(rest, "m", "load", **moved).status == 200
        assert rest.predict("m/labels/stable", row) == [4.0]
        assert change(rest, "m", "reload").status == 200
        # A model that is not there is told, makes the server unready, and goes again.
        missing = change(rest, "no", "load", base_path=str(tmp_path / "no"))
        assert missing.status >= 400 and "does not exist" in missing.error
        assert rest.get("/readyz").json["missing"] == ["no"]
        assert change(rest, "no", "unload").status == 200
        assert rest.get("/readyz").status == 200
        assert change(rest, "m", "unload").status == 200
        assert rest.post("m", row).status == 404
        assert change(rest, "m", "unload").status == 404
    traffic.assert_flawless()
    process.stop()
