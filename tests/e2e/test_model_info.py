"""GetModelMetadata and GetModelStatus: what a model is and how it stands."""

from pathlib import Path

import grpc
import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
)

from harness.predict import TIMEOUT_SECONDS, PredictionClient, refused
from models.make_models import HEALTHY

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
SIGNATURES = "signature_def"
AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE


def spec(name: str, version: int | None = None, label: str = "") -> model_pb2.ModelSpec:
    answer = model_pb2.ModelSpec(name=name)
    if version is not None:
        answer.version.value = version
    if label:
        answer.version_label = label
    return answer


def metadata(
    client: PredictionClient, model_spec: model_pb2.ModelSpec | None, *fields: str
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    request = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=model_spec, metadata_field=fields
    )
    return client.prediction.GetModelMetadata(request, timeout=TIMEOUT_SECONDS)


def status(
    client: PredictionClient, model_spec: model_pb2.ModelSpec | None
) -> list[get_model_status_pb2.ModelVersionStatus]:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=model_spec)
    reply = client.model.GetModelStatus(request, timeout=TIMEOUT_SECONDS)
    return list(reply.model_version_status)


@pytest.mark.parametrize("model", [*HEALTHY, "identity_bfloat16", "identity_string"])
def test_the_signatures_are_the_models_own(
    client: PredictionClient, models: Path, model: str
) -> None:
    newest = max((models / model).iterdir())
    saved = saved_model_pb2.SavedModel.FromString((newest / "saved_model.pb").read_bytes())
    reply = metadata(client, spec(model), SIGNATURES)
    assert set(reply.metadata) == {SIGNATURES}
    packed = reply.metadata[SIGNATURES]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    signatures = get_model_metadata_pb2.SignatureDefMap.FromString(packed.value).signature_def
    assert dict(signatures) == dict(saved.meta_graphs[0].signature_def)
    assert "__saved_model_init_op" in signatures


def test_model_spec_of_metadata(client: PredictionClient) -> None:
    reply = metadata(client, spec("half_plus_two"), SIGNATURES)
    assert reply.model_spec == spec("half_plus_two", 2)
    assert metadata(client, spec("half_plus_two", 2), SIGNATURES).model_spec.version.value == 2


def test_metadata_refused(client: PredictionClient) -> None:
    with refused(INVALID, "Missing ModelSpec"):
        metadata(client, None, SIGNATURES)
    with refused(INVALID, "GetModelMetadataRequest must specify at least one metadata_field"):
        metadata(client, spec("add"))
    with refused(INVALID, "Metadata field weights is not supported"):
        metadata(client, spec("add"), "weights")
    with refused(INVALID, "Metadata field weights is not supported"):
        metadata(client, spec("add"), SIGNATURES, "weights")
    with refused(INVALID, "ModelSpec has no name specified."):
        metadata(client, spec(""), SIGNATURES)
    with refused(NOT_FOUND, "Servable not found for request: Latest(foo)"):
        metadata(client, spec("foo"), SIGNATURES)
    with refused(NOT_FOUND, "Servable not found for request: Specific(add, 7)"):
        metadata(client, spec("add", 7), SIGNATURES)
    with refused(INVALID, "Unrecognized servable version label: canary"):
        metadata(client, spec("add", label="canary"), SIGNATURES)


def test_status_of_a_model(client: PredictionClient) -> None:
    (version,) = status(client, spec("half_plus_two"))
    assert (version.version, version.state) == (2, AVAILABLE)
    assert version.HasField("status")
    assert (version.status.error_code, version.status.error_message) == (0, "")
    assert status(client, spec("half_plus_two", 2)) == [version]


def test_status_refused(client: PredictionClient) -> None:
    with refused(INVALID, "Missing ModelSpec"):
        status(client, None)
    with refused(NOT_FOUND, "Could not find any versions of model foo"):
        status(client, spec("foo"))
    with refused(NOT_FOUND, "Could not find version 99 of model half_plus_two"):
        status(client, spec("half_plus_two", 99))
    with refused(NOT_FOUND, "Could not find version 99 of model foo"):
        status(client, spec("foo", 99))
    with refused(INVALID, "Unrecognized servable version label: canary"):
        status(client, spec("add", label="canary"))
