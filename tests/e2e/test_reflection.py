"""Server reflection: a client that has no .proto file can find everything and call it."""

import queue
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

from harness.predict import TIMEOUT_SECONDS, refused
from harness.raw_http2 import Connection, frame, grpc_headers
from harness.server_process import ServerProcess

SERVICES = {
    "tensorflow.serving.PredictionService": {
        "Classify",
        "GetModelMetadata",
        "MultiInference",
        "Predict",
        "Regress",
    },
    "tensorflow.serving.ModelService": {"GetModelStatus", "HandleReloadConfigRequest"},
    "tensorwire.ModelRepository": {
        "GetConfig",
        "ListModels",
        "LoadModel",
        "ReloadModel",
        "UnloadModel",
    },
    "prediction_service.PredictionService": {"Predict"},
    "grpc.health.v1.Health": {"Check", "List", "Watch"},
}
REFLECTION = {
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
}
versions = pytest.mark.parametrize("version", ["v1", "v1alpha"])
PATH = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
LARGEST_REQUEST = 64 << 10

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
    names = [service.name for service in answer.list_services_response.service]
    assert names == sorted(set(SERVICES) | REFLECTION)
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
        ("tensorflow.TensorProto.tensor_shape", "tensor"),
        ("tensorflow.DataType", "types"),
        ("tensorflow.DT_FLOAT", "types"),
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
    assert codes == [NOT_FOUND] * 2
    assert len(answers[2].list_services_response.service) == len(SERVICES) + len(REFLECTION)


@versions
def test_extensions(channel: grpc.Channel, version: str) -> None:
    """There are none, of types that are known and of types that are not."""
    known, unknown = "tensorflow.TensorProto", "no.such.Type"
    of_known, of_unknown, by_number = ask(
        channel,
        version,
        [
            Request(all_extension_numbers_of_type=known),
            Request(all_extension_numbers_of_type=unknown),
            Request(file_containing_extension={"containing_type": known, "extension_number": 9}),
        ],
    )
    numbers = of_known.all_extension_numbers_response
    assert (numbers.base_type_name, list(numbers.extension_number)) == (known, [])
    assert of_unknown.error_response.error_code == NOT_FOUND
    assert by_number.error_response.error_code == NOT_FOUND


@versions
def test_nothing_asked(channel: grpc.Channel, version: str) -> None:
    """An error in the stream, with what was asked, and the stream goes on."""
    nothing = Request(host="here")
    first, second = ask(channel, version, [nothing, Request(list_services="")])
    assert first.error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert first.error_response.error_message
    assert (first.valid_host, first.original_request) == ("here", nothing)
    assert second.list_services_response.service


@versions
def test_a_file_comes_with_its_imports(channel: grpc.Channel, version: str) -> None:
    symbol = "tensorflow.serving.PredictionService"
    (answer,) = ask(channel, version, [Request(file_containing_symbol=symbol)])
    data = answer.file_descriptor_response.file_descriptor_proto
    files = [descriptor_pb2.FileDescriptorProto.FromString(each) for each in data]
    names = [file.name for file in files]
    assert len(names) == len(set(names))
    assert {name for file in files for name in file.dependency} <= set(names)
    assert any(service.name == "PredictionService" for service in files[0].service)
    (by_name,) = ask(channel, version, [Request(file_by_filename=names[0])])
    assert by_name.file_descriptor_response == answer.file_descriptor_response


def test_unknown_names_are_key_errors(pool: descriptor_pool.DescriptorPool) -> None:
    """grpcio's database tells what is missing from what is broken."""
    with pytest.raises(KeyError):
        pool.FindMessageTypeByName("no.such.Message")
    with pytest.raises(KeyError):
        pool.FindServiceByName("no.such.Service")
    assert pool.FindMessageTypeByName("tensorflow.TensorProto").fields


def test_each_answer_comes_before_the_next_question(channel: grpc.Channel) -> None:
    questions: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
    call = channel.stream_stream(
        PATH,
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    answers = call(iter(questions.get, None), timeout=TIMEOUT_SECONDS)
    for number in range(20):
        question = Request(file_by_filename=f"{number}.proto")
        questions.put(question)
        assert next(answers).original_request == question
    questions.put(None)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_many_questions_at_once(channel: grpc.Channel) -> None:
    """More answers than fit in any buffer on the way; none is lost, the order is kept."""
    symbol = "tensorflow.serving.PredictionService"
    questions = [Request(host=str(n), file_containing_symbol=symbol) for n in range(2000)]
    answers = ask(channel, "v1", questions)
    assert [answer.valid_host for answer in answers] == [each.host for each in questions]
    assert len({len(a.file_descriptor_response.file_descriptor_proto) for a in answers}) == 1


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_questions(channel: grpc.Channel, compression: grpc.Compression) -> None:
    call = channel.stream_stream(
        PATH,
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    names = ["a" * 5000, "b" * 5000]
    questions = [Request(file_by_filename=name) for name in names]
    answers = call(iter(questions), timeout=TIMEOUT_SECONDS, compression=compression)
    assert [answer.original_request.file_by_filename for answer in answers] == names


def test_the_largest_request(channel: grpc.Channel) -> None:
    overhead = Request(file_by_filename="x" * 60_000).ByteSize() - 60_000
    largest = Request(file_by_filename="x" * (LARGEST_REQUEST - overhead))
    assert largest.ByteSize() == LARGEST_REQUEST
    (answer,) = ask(channel, "v1", [largest])
    assert answer.error_response.error_code == NOT_FOUND
    assert len(answer.error_response.error_message) < 1100
    too_large = Request(file_by_filename=largest.file_by_filename + "x")
    text = f"Received message larger than max ({LARGEST_REQUEST + 1} vs. {LARGEST_REQUEST})"
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text):
        ask(channel, "v1", [Request(list_services=""), too_large])


@pytest.mark.parametrize(
    ("broken", "status"),
    [
        pytest.param(frame(b"", compressed=2), 13, id="flag 2"),
        pytest.param(frame(b"", compressed=1), 13, id="compressed without saying how"),
        pytest.param(frame(b"", length=3 << 30), 8, id="a promise of 3 GiB"),
        pytest.param(frame(b"\xff\xff"), 13, id="no message"),
    ],
)
def test_a_broken_message(server: ServerProcess, broken: bytes, status: int) -> None:
    """It ends the stream, after the answers to those before it, without waiting for more."""
    question = Request(list_services="")
    with Connection(server.port) as connection:
        stream = connection.begin(grpc_headers(PATH))
        connection.send(stream, frame(question.SerializeToString()) + broken)
        answer = connection.answer(stream)
    assert Response.FromString(answer.data[5:]).original_request == question
    assert int(answer.trailers["grpc-status"]) == status
    assert answer.grpc_message


def test_a_message_that_does_not_end(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        answer = connection.call(grpc_headers(PATH), frame(b"abc", length=5))
        assert int(answer.trailers["grpc-status"]) == 13
        assert answer.grpc_message
        unknown = connection.call(grpc_headers(PATH, grpc_encoding="snappy"), b"")
        assert unknown.grpc_status == 12
        assert connection.call(grpc_headers(PATH), b"").grpc_status == 0


def test_clients_that_go_away(channel: grpc.Channel) -> None:
    call = channel.stream_stream(
        PATH,
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    for _ in range(50):
        questions: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        questions.put(Request(list_services=""))
        answers = call(iter(questions.get, None), timeout=TIMEOUT_SECONDS)
        assert next(answers).list_services_response.service
        answers.cancel()
        questions.put(None)
    assert ask(channel, "v1", [Request(list_services="")])


@pytest.mark.parametrize("service", sorted(set(SERVICES) | REFLECTION))
def test_what_is_described_is_served(
    channel: grpc.Channel, pool: descriptor_pool.DescriptorPool, service: str
) -> None:
    """Whatever a method makes of an empty request, it is there."""
    for method in pool.FindServiceByName(service).methods:
        call = channel.stream_stream(f"/{service}/{method.name}")
        answers = call(iter([b""]), timeout=TIMEOUT_SECONDS)
        try:
            next(answers)
            answers.cancel()
        except grpc.RpcError as error:
            assert error.code() is not grpc.StatusCode.UNIMPLEMENTED, method.full_name


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
