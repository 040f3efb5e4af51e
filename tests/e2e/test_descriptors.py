"""Our .proto files say what the official packages say, field by field."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    ServiceDescriptor,
)
from grpc_health.v1 import health_pb2  # noqa: F401  (registers the official descriptors)
from grpc_reflection.v1alpha import reflection_pb2
from tensorflow.core.protobuf import saved_model_pb2  # noqa: F401
from tensorflow_serving.apis import (  # noqa: F401
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2,
)
from tensorflow_serving.config import platform_config_pb2  # noqa: F401

from harness import protoc

TESTS = Path(__file__).parent.parent
PROTO = TESTS.parent / "proto"

# We read some fields of a SavedModel and leave the rest to TensorFlow: these
# messages, and no others, may lack fields. The fields they do have are these.
SUBSETS = {
    "tensorflow.serving.PredictionLog": {
        "log_metadata",
        "classify_log",
        "regress_log",
        "predict_log",
        "predict_streamed_log",
        "multi_inference_log",
    },
    "tensorflow.serving.FileSystemStoragePathSourceConfig": set(),
    "tensorflow.SavedModel": {"saved_model_schema_version", "meta_graphs"},
    "tensorflow.MetaGraphDef": {"meta_info_def", "signature_def"},
    "tensorflow.MetaGraphDef.MetaInfoDef": {"tags", "tensorflow_version"},
}

# What no package has: their text format is fixed by TensorFlow Serving's documentation, and
# what is ours by us.
NOWHERE_ELSE = {
    "tensorflow.serving.SSLConfig",
    "tensorflow.serving.PrometheusConfig",
    "tensorflow.serving.MonitoringConfig",
    "tensorflow.serving.BatchingParameters",
    "tensorflow.serving.SavedModelBundleSourceAdapterConfig",
    "tensorflow.serving.SessionBundleConfig",
    "tensorflow.serving.SessionBundleConfig.SessionConfig",
}


def compile_folder(folder: Path, out: Path) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files of a folder and what they import."""
    sources = [str(source.relative_to(folder)) for source in sorted(folder.rglob("*.proto"))]
    protoc.run(f"-I{folder}", "--include_imports", f"--descriptor_set_out={out}", *sources)
    return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def private_pool(
    files: list[descriptor_pb2.FileDescriptorProto],
) -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in files:
        pool.Add(file)
    return pool


def message_names(prefix: str, messages: object) -> Iterator[str]:
    for message in messages:
        if not message.options.map_entry:
            yield f"{prefix}.{message.name}"
            yield from message_names(f"{prefix}.{message.name}", message.nested_type)


def enum_names(prefix: str, scope: object) -> Iterator[str]:
    for enum in scope.enum_type:
        yield f"{prefix}.{enum.name}"
    nested = scope.nested_type if hasattr(scope, "nested_type") else scope.message_type
    for message in nested:
        yield from enum_names(f"{prefix}.{message.name}", message)


def field_facts(field: FieldDescriptor) -> dict[str, object]:
    """Everything about a field that is seen on the wire or in a generated class."""
    message = field.message_type
    is_map = message is not None and message.GetOptions().map_entry
    return {
        "name": field.name,
        "number": field.number,
        "type": field.type,
        "repeated": field.is_repeated,
        "packed": field.is_packed,
        "required": field.is_required,
        "has presence": field.has_presence,
        "default": field.default_value if not field.is_repeated and message is None else None,
        "json name": field.json_name,
        "message": message.full_name if message is not None else None,
        "enum": field.enum_type.full_name if field.enum_type is not None else None,
        "oneof": field.containing_oneof.name if field.containing_oneof is not None else None,
        "map": [field_facts(part) for part in message.fields] if is_map else None,
    }


def message_facts(message: Descriptor) -> dict[str, dict[str, object]]:
    return {field.name: field_facts(field) for field in message.fields}


def enum_facts(enum: EnumDescriptor) -> dict[str, int]:
    return {value.name: value.number for value in enum.values}


def method_facts(service: ServiceDescriptor) -> dict[str, tuple[str, str, bool, bool]]:
    return {
        method.name: (
            method.input_type.full_name,
            method.output_type.full_name,
            method.client_streaming,
            method.server_streaming,
        )
        for method in service.methods
    }


def _ours() -> list[descriptor_pb2.FileDescriptorProto]:
    with tempfile.TemporaryDirectory() as folder:
        return compile_folder(PROTO, Path(folder) / "ours.bin")


OUR_FILES = [
    file for file in _ours() if not file.name.startswith(("google/protobuf/", "tensorwire/"))
]
MESSAGES = [
    name
    for file in OUR_FILES
    for name in message_names(file.package, file.message_type)
    if name not in NOWHERE_ELSE
]
ENUMS = [name for file in OUR_FILES for name in enum_names(file.package, file)]
SERVICES = [f"{file.package}.{service.name}" for file in OUR_FILES for service in file.service]


@pytest.fixture(scope="module")
def ours() -> descriptor_pool.DescriptorPool:
    return private_pool(_ours())


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> descriptor_pool.DescriptorPool:
    """The text service as its users have it: no package of its own has it."""
    out = tmp_path_factory.mktemp("golden") / "golden.bin"
    return private_pool(compile_folder(TESTS / "golden", out))


@pytest.fixture(scope="module")
def reflection_v1() -> descriptor_pool.DescriptorPool:
    """No package has it either; it is v1alpha by another name."""
    v1alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(v1alpha)
    renamed = text_format.MessageToString(v1alpha).replace("reflection.v1alpha", "reflection.v1")
    return private_pool([text_format.Parse(renamed, descriptor_pb2.FileDescriptorProto())])


@pytest.fixture
def theirs(
    golden: descriptor_pool.DescriptorPool,
    reflection_v1: descriptor_pool.DescriptorPool,
    request: pytest.FixtureRequest,
):
    """The official pool for the name that the test is about."""
    name = request.node.callspec.params["name"]
    if name.startswith("prediction_service."):
        return golden
    if name.startswith("grpc.reflection.v1."):
        return reflection_v1
    return descriptor_pool.Default()


def test_every_part_of_the_contract_is_there() -> None:
    packages = {file.package for file in OUR_FILES}
    wanted = {
        "grpc.health.v1",
        "grpc.reflection.v1",
        "grpc.reflection.v1alpha",
        "prediction_service",
        "tensorflow",
        "tensorflow.error",
        "tensorflow.serving",
    }
    assert packages >= wanted
    assert len(MESSAGES) >= 30


@pytest.mark.parametrize("name", MESSAGES)
def test_message(name: str, ours, theirs) -> None:
    our_fields = message_facts(ours.FindMessageTypeByName(name))
    their_fields = message_facts(theirs.FindMessageTypeByName(name))
    if name in SUBSETS:
        assert set(our_fields) == SUBSETS[name]
        their_fields = {field: their_fields[field] for field in our_fields}
    assert our_fields == their_fields


@pytest.mark.parametrize("name", ENUMS)
def test_enum(name: str, ours, theirs) -> None:
    our_values = enum_facts(ours.FindEnumTypeByName(name))
    assert our_values == enum_facts(theirs.FindEnumTypeByName(name))


@pytest.mark.parametrize("name", SERVICES)
def test_service(name: str, ours, theirs) -> None:
    our_methods = method_facts(ours.FindServiceByName(name))
    their_methods = method_facts(theirs.FindServiceByName(name))
    assert our_methods == their_methods
