"""Models that are added, named by labels, reloaded and taken away over REST."""

import json
from pathlib import Path
from urllib.parse import quote

from harness.rest import Answer, RestClient
from harness.server_process import model_arguments

FORBIDDEN = 403

# What the versions of half_plus_two make of 2.0.
OF_TWO = {"1": 3.0, "2": 4.0}


def command(rest: RestClient, verb: str, body: object = None, **headers: str) -> Answer:
    text = None if body is None else json.dumps(body)
    return rest.ask("POST", f"/v1/models/half:{verb}", text, headers)


def version_of(rest: RestClient, where: str) -> str:
    """The version that answers at this place of the model."""
    answer = rest.post(f"half{where}", {"instances": [2.0]})
    assert answer.status == 200, answer.body
    version = answer.headers["tensorwire-model-version"]
    assert answer.json == {"predictions": [OF_TWO[version]]}
    return version


def test_a_model_comes_has_labels_and_goes(start, models: Path) -> None:
    own = start(*model_arguments({"sleep": models / "sleep"})).wait_serving()
    with RestClient(own.port) as rest:
        assert rest.post("half", {"instances": [2.0]}).status == 404
        config = {
            "base_path": str(models / "half_plus_two"),
            "model_version_policy": {"all": {}},
            "version_labels": {"stable": "1", "can ary:2/3": "2"},
        }
        answer = command(rest, "load", config)
        assert answer.status == 200, answer.body
        assert version_of(rest, "") == "2"
        for label, version in config["version_labels"].items():
            place = f"/labels/{quote(label, safe='')}"
            assert version_of(rest, place) == version
            assert version_of(rest, f"/versions/{version}") == version
            metadata = rest.get(f"/v1/models/half{place}/metadata").json
            assert metadata["model_spec"]["version"] == version
        # All versions, whatever the label.
        [*states] = rest.get("/v1/models/half/labels/stable").json["model_version_status"]
        assert [each["version"] for each in states] == ["2", "1"]
        told = rest.get("/v1/config")
        assert told.status == 200
        assert str(models / "half_plus_two").encode() in told.body

        assert command(rest, "reload").status == 200
        assert version_of(rest, "/labels/stable") == "1"
        assert command(rest, "unload").status == 200
        assert rest.post("half", {"instances": [2.0]}).status == 404
        answer = command(rest, "unload")
        assert answer.status == 404
        assert "half" in answer.error


def test_who_may_not(start, models: Path) -> None:
    arguments = model_arguments({"half": models / "half_plus_two"})
    own = start(*arguments).wait_serving()
    with RestClient(own.port) as rest:
        for verb in ("load", "reload", "unload"):
            answer = command(rest, verb, Origin="https://example.com")
            assert answer.status == FORBIDDEN
            assert "web page" in answer.error
        assert command(rest, "load", {"base_path": "relative"}).status == 400
        assert command(rest, "load", [1]).status == 400
        assert version_of(rest, "") == "2"
    closed = start(*arguments, "--remote-control", "off").wait_serving()
    with RestClient(closed.port) as rest:
        for verb in ("load", "reload", "unload"):
            answer = command(rest, verb)
            assert answer.status == FORBIDDEN
            assert "--remote-control on" in answer.error
        assert rest.get("/v1/config").status == FORBIDDEN
        assert version_of(rest, "") == "2"
