"""Server reflection: a client that has no .proto file can find everything and call it."""

from collections.abc import Iterable

import grpc
import numpy as np
import pytest
from google.protobuf import (
    descriptor_database,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from harness.predict import TIMEOUT_SECONDS

SERVICES = {
    "tensorflow.serving.PredictionService": {"Predict", "GetModelMetadata"},
    "tensorflow.serving.ModelService": {"GetModelStatus"},
    "prediction_service.PredictionService": {"Predict"},
    "grpc.health.v1.Health": {"Check", "List", "Watch"},
}
REFLECTION = {
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
versions = pytest.mark.parametrize("version", ["v1", "v1alpha"])

Request = reflection_pb2.ServerReflectionRequest
Response = reflection_pb2.ServerReflectionResponse


def ask(channel: grpc.Channel, version: str, requests: Iterable[Request]) -> list[Response]:
    """One stream of questions. Both versions have the same messages on the wire."""
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    return list(call(iter(requests), timeout=TIMEOUT_SECONDS))


@pytest.fixture(scope="module")
def pool(channel: grpc.Channel) -> descriptor_pool.DescriptorPool:
    """Types known from the server alone."""
    return descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))


@versions
def test_list_services(channel: grpc.Channel, version: str) -> None:
    (answer,) = ask(channel, version, [Request(list_services="")])
    names = {service.name for service in answer.list_services_response.service}
    assert names == set(SERVICES) | REFLECTION
    assert answer.original_request == Request(list_services="")


@pytest.mark.parametrize("service", SERVICES)
def test_methods(pool: descriptor_pool.DescriptorPool, service: str) -> None:
    descriptor = pool.FindServiceByName(service)
    assert {method.name for method in descriptor.methods} == SERVICES[service]
    for method in descriptor.methods:
        assert method.input_type.fields is not None
        assert method.output_type.fields is not None


@pytest.mark.parametrize("service", sorted(REFLECTION))
def test_reflection_describes_itself(pool: descriptor_pool.DescriptorPool, service: str) -> None:
    (method,) = pool.FindServiceByName(service).methods
    assert method.client_streaming
    assert method.server_streaming


@versions
def test_every_type_can_be_resolved(channel: grpc.Channel, version: str) -> None:
    """All files that services need, by symbol, then all their imports by file name."""
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def take(answers: list[Response]) -> None:
        for answer in answers:
            assert not answer.HasField("error_response"), answer
            for data in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(data)
                files[file.name] = file

    symbols = sorted(set(SERVICES) | REFLECTION)
    take(ask(channel, version, [Request(file_containing_symbol=name) for name in symbols]))
    while missing := {name for file in files.values() for name in file.dependency} - set(files):
        take(ask(channel, version, [Request(file_by_filename=name) for name in sorted(missing)]))

    database = descriptor_database.DescriptorDatabase()
    for file in files.values():
        database.Add(file)
    resolved = descriptor_pool.DescriptorPool(database)
    for file in files.values():
        for message in file.message_type:
            name = f"{file.package}.{message.name}"
            assert resolved.FindMessageTypeByName(name).fields is not None


@versions
@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("tensorflow.TensorProto", "tensor"),
        ("tensorflow.TensorShapeProto.Dim", "tensor"),
        ("tensorflow.DataType", "types"),
        ("tensorflow.serving.PredictionService.Predict", "services"),
        ("tensorflow.serving.PredictRequest", "predict"),
        ("grpc.health.v1.HealthCheckResponse.ServingStatus", "health"),
        ("prediction_service.PredictionRequest", "prediction_service"),
    ],
)
def test_symbols(channel: grpc.Channel, version: str, symbol: str, file: str) -> None:
    (answer,) = ask(channel, version, [Request(file_containing_symbol=symbol)])
    data = answer.file_descriptor_response.file_descriptor_proto
    names = [descriptor_pb2.FileDescriptorProto.FromString(each).name for each in data]
    assert any(name.endswith(f"{file}.proto") for name in names), names


@versions
def test_what_is_not_there(channel: grpc.Channel, version: str) -> None:
    """An error for each question, and the stream goes on."""
    answers = ask(
        channel,
        version,
        [
            Request(file_containing_symbol="no.such.Symbol"),
            Request(file_by_filename="no/such.proto"),
            Request(list_services="*"),
        ],
    )
    codes = [answer.error_response.error_code for answer in answers[:2]]
    assert codes == [grpc.StatusCode.NOT_FOUND.value[0]] * 2
    assert len(answers[2].list_services_response.service) == len(SERVICES) + len(REFLECTION)


def test_predict_by_what_reflection_tells(
    channel: grpc.Channel, pool: descriptor_pool.DescriptorPool
) -> None:
    method = pool.FindServiceByName("tensorflow.serving.PredictionService").methods_by_name
    request_type = message_factory.GetMessageClass(method["Predict"].input_type)
    reply_type = message_factory.GetMessageClass(method["Predict"].output_type)
    request = request_type()
    request.model_spec.name = "half_plus_two"
    tensor = request.inputs["x"]
    tensor.dtype = pool.FindEnumTypeByName("tensorflow.DataType").values_by_name["DT_FLOAT"].number
    tensor.tensor_shape.dim.add().size = 2
    tensor.tensor_content = np.array([1, 2], "<f4").tobytes()
    call = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict",
        request_serializer=request_type.SerializeToString,
        response_deserializer=reply_type.FromString,
    )
    reply = call(request, timeout=TIMEOUT_SECONDS)
    assert list(reply.outputs["y"].float_val) == [3.5, 4.0]


def test_text_by_what_reflection_tells(
    channel: grpc.Channel, pool: descriptor_pool.DescriptorPool
) -> None:
    method = pool.FindServiceByName("prediction_service.PredictionService").methods_by_name
    request_type = message_factory.GetMessageClass(method["Predict"].input_type)
    reply_type = message_factory.GetMessageClass(method["Predict"].output_type)
    call = channel.unary_unary(
        "/prediction_service.PredictionService/Predict",
        request_serializer=request_type.SerializeToString,
        response_deserializer=reply_type.FromString,
    )
    metadata = [("model", "shout")]
    reply = call(request_type(input_data="hi"), timeout=TIMEOUT_SECONDS, metadata=metadata)
    assert (reply.prediction, reply.error_message) == ('"HI!"', "")
