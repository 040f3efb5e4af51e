"""TensorWire beside the packages that register the same names, in one process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SEVERAL = {
    "tensorwire": "import tensorwire",
    "tensorflow_serving": (
        "from tensorflow_serving.apis import prediction_service_pb2, get_model_metadata_pb2"
    ),
    "grpc_health": "from grpc_health.v1 import health_pb2",
}


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "order",
    [
        ("tensorwire", "tensorflow_serving", "grpc_health"),
        ("grpc_health", "tensorflow_serving", "tensorwire"),
        ("tensorflow_serving", "tensorwire", "grpc_health"),
    ],
    ids="-".join,
)
def test_imports_in_any_order(order: tuple[str, ...], server) -> None:
    """And both then call the server."""
    program = "\n".join(SEVERAL[name] for name in order)
    program += f"""
import grpc, numpy
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
x = numpy.array([1.0], numpy.float32)
with tensorwire.Client({server.address!r}) as client:
    ours = client.predict("half_plus_two", {{"x": x}})["y"]
with grpc.insecure_channel({server.address!r}) as channel:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    import tensorflow
    request.inputs["x"].CopyFrom(tensorflow.make_tensor_proto(x))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    theirs = list(stub.Predict(request, timeout=30).outputs["y"].float_val)
assert ours.tolist() == theirs == [3.5], (ours, theirs)
"""
    run(program)


def test_tensorwire_registers_nothing_and_imports_no_tensorflow() -> None:
    program = """
import json, sys, tensorwire
tensorwire.Client
known = []
if "google.protobuf" in sys.modules:
    from google.protobuf import descriptor_pool
    for name in ("tensorflow.TensorProto", "grpc.health.v1.Health"):
        try:
            descriptor_pool.Default().FindMessageTypeByName(name)
            known.append(name)
        except KeyError:
            pass
print(json.dumps({"known": known, "tensorflow": "tensorflow" in sys.modules}))
"""
    assert json.loads(run(program)) == {"known": [], "tensorflow": False}


RUN = {
    "ours": """
import numpy, tensorwire
with tensorwire.Model({path!r}) as model:
    ours = model.predict({{"x": numpy.ones((1, 32), numpy.float32)}})["y"]
""",
    "theirs": """
import tensorflow
loaded = tensorflow.saved_model.load({path!r} + "/1").signatures["serving_default"]
theirs = loaded(x=tensorflow.ones((1, 32)))["y"].numpy()
""",
}


@pytest.mark.parametrize("order", [("ours", "theirs"), ("theirs", "ours")], ids="-".join)
def test_both_load_tensorflow(order: tuple[str, str], models: Path) -> None:
    """The core opens the library that `import tensorflow` opens too."""
    program = "".join(RUN[name].format(path=str(models / "mlp")) for name in order)
    run(program + "numpy.testing.assert_allclose(ours, theirs, rtol=1e-5)")
