"""Flags about where and how the server listens, each by what it does to clients."""

import contextlib
import http.client
import json
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import h2.exceptions
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from harness.certificates import Authority
from harness.model_server import ModelServer, free_port
from harness.predict import PredictionClient, good_request, predict_request, refused
from harness.queueing import send_all, sleep_request, wait_for
from harness.raw_http2 import TIMEOUT_SECONDS, Connection, frame, grpc_headers
from harness.scrape import get

Serve = Callable[..., ModelServer]

X = {"x": np.float32([1, 2])}


def post(
    port: int, path: str, body: object, headers: dict[str, str] | None = None
) -> tuple[http.client.HTTPResponse, dict[str, object]]:
    """A REST call and its JSON answer."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as calls:
        calls.request("POST", path, json.dumps(body), headers or {})
        response = calls.getresponse()
        return response, json.loads(response.read())


def y_of(channel: grpc.Channel) -> list[float]:
    return PredictionClient(channel).predict("default", X)["y"].tolist()


def test_grpc_socket_path_beside_a_port_and_alone(serve: Serve, half: str, tmp_path: Path) -> None:
    both, alone = tmp_path / "both.sock", tmp_path / "alone.sock"
    server = serve(half, f"--grpc_socket_path={both}").wait_listening()
    with grpc.insecure_channel(f"unix:{both}") as channel:
        assert y_of(channel) == y_of(server.channel()) == [3.5, 4.0]
    server.stop()
    server = serve(half, "--port=0", f"--grpc_socket_path={alone}").wait_listening()
    assert f"Running gRPC ModelServer at UNIX socket unix:{alone} ..." in server.stderr
    with grpc.insecure_channel(f"unix:{alone}") as channel:
        assert y_of(channel) == [3.5, 4.0]
    server.stop()


def test_rest_on_the_port_of_grpc_is_told_and_served(serve: Serve, half: str) -> None:
    port = free_port()
    server = serve(half, f"--port={port}", f"--rest_api_port={port}").wait_listening()
    assert "http_port cannot be same as grpc_port" in server.stderr
    assert "Exporting HTTP/REST API" not in server.stderr
    assert get(port, "/v1/models/default").status == 200
    assert y_of(server.channel()) == [3.5, 4.0]
    server.stop()


def test_a_port_for_rest_that_is_taken(serve: Serve, half: str) -> None:
    """It costs REST its own port and nothing else, as there."""
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = serve(half, f"--rest_api_port={port}").wait_listening()
        assert f":{port}: Address already in use" in server.stderr
        assert f"Failed to start HTTP Server at localhost:{port}" in server.stderr
        assert "Exporting HTTP/REST API" not in server.stderr
        assert y_of(server.channel()) == [3.5, 4.0]
        assert get(server.port, "/v1/models/default").status == 200
        server.stop()


def ssl_config(folder: Path, authority: Authority, **more: str) -> Path:
    identity = authority.issue("server")
    values = {
        "server_key": identity.key.read_text(),
        "server_cert": identity.certificate.read_text(),
        **more,
    }
    # JSON's text is a string of protobuf's text format.
    lines = [f"{name}: {json.dumps(value)}" for name, value in values.items()]
    file = folder / "ssl.config"
    file.write_text("\n".join([*lines, "client_verify: true"] if more else lines))
    return file


def test_ssl_config_file(serve: Serve, half: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    rest, path = free_port(), tmp_path / "tls.sock"
    server = serve(
        half,
        f"--ssl_config_file={ssl_config(tmp_path, authority)}",
        f"--rest_api_port={rest}",
        f"--grpc_socket_path={path}",
    ).wait_listening()
    assert y_of(server.secure_channel(authority.credentials())) == [3.5, 4.0]
    with pytest.raises(grpc.RpcError):
        y_of(server.channel())
    # REST's own port is in the clear, as it is there, and its line says so.
    assert get(rest, "/v1/models/default").status == 200
    assert f"port {rest} answers REST in the clear" in server.stderr
    options = [("grpc.default_authority", "localhost")]
    with grpc.secure_channel(f"unix:{path}", authority.credentials(), options) as channel:
        assert y_of(channel) == [3.5, 4.0]
    server.stop()


def test_ssl_config_file_with_clients_certificates(
    serve: Serve, half: str, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    file = ssl_config(tmp_path, authority, custom_ca=authority.root.read_text())
    server = serve(half, f"--ssl_config_file={file}").wait_listening()
    known = authority.credentials(authority.issue("client", "client.example"))
    assert y_of(server.secure_channel(known)) == [3.5, 4.0]
    with pytest.raises(grpc.RpcError) as caught:
        y_of(server.secure_channel(authority.credentials()))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    server.stop()


def test_grpc_channel_arguments(serve: Serve, half: str) -> None:
    arguments = (
        "grpc.max_connection_age_ms=1500,grpc.max_concurrent_streams=7,"
        "grpc.max_receive_message_length=1000,grpc.arena_size=4"
    )
    server = serve(half, f"--grpc_channel_arguments={arguments}").wait_listening()
    assert "grpc.arena_size has no effect" in server.stderr
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
        PredictionClient(server.channel()).predict("default", {"x": np.zeros(1000, np.float32)})
    begun = time.monotonic()
    with Connection(server.port) as connection:
        # A ping's answer comes after the settings.
        connection.h2.ping(struct.pack(">Q", 1))
        connection.flush()
        # The library knows no ping after the GOAWAY that says that the end comes.
        with contextlib.suppress(h2.exceptions.ProtocolError):
            while connection._receive({}):
                streams = connection.h2.remote_settings.max_concurrent_streams
                assert time.monotonic() - begun < TIMEOUT_SECONDS
        assert streams == 7
    # It was the server that ended it, at its age.
    assert time.monotonic() - begun > 1.0
    server.stop()


def test_grpc_max_threads(serve: Serve, models: Path) -> None:
    server = serve(
        f"--model_base_path={models / 'sleep'}", "--model_name=sleep", "--grpc_max_threads=2"
    ).wait_listening()
    client = PredictionClient(server.channel())
    calls = send_all(client, [sleep_request(2000)] * 2)
    wait_for(server, lambda found: found.total("tensorwire_in_flight_requests") == 2)
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
        client.send(sleep_request(1))
    for call in calls:
        call.result()
    client.send(sleep_request(1))
    server.stop()


@pytest.mark.parametrize("enabled", [True, False])
def test_enable_grpc_healthcheck_service(serve: Serve, half: str, enabled: bool) -> None:
    flags = ["--enable_grpc_healthcheck_service"] if enabled else []
    server = serve(half, *flags).wait_listening()
    stub = health_pb2_grpc.HealthStub(server.channel())
    for name in ("", "tensorflow.serving.PredictionService", "default"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    for name in ("ModelService", "PredictionService"):
        request = health_pb2.HealthCheckRequest(service=name)
        if enabled:
            answer = stub.Check(request, timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        else:
            with refused(grpc.StatusCode.NOT_FOUND):
                stub.Check(request, timeout=30)
    server.stop()


@pytest.mark.parametrize("enabled", [True, False])
def test_enable_serialization_as_tensor_content(serve: Serve, half: str, enabled: bool) -> None:
    server = serve(half, f"--enable_serialization_as_tensor_content={enabled}".lower())
    channel = server.wait_listening().channel()
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    output = stub.Predict(predict_request("default", X), timeout=30).outputs["y"]
    assert bool(output.tensor_content) is enabled
    assert len(output.float_val) == (0 if enabled else 2)
    server.stop()


def test_rest_flags(serve: Serve, models: Path) -> None:
    rest = free_port()
    server = serve(
        f"--model_base_path={models / 'sleep'}",
        f"--rest_api_port={rest}",
        "--rest_api_timeout_in_ms=300",
        "--rest_api_enable_cors_support",
        "--rest_api_num_threads=1",
    ).wait_listening()
    assert "--rest_api_num_threads has no effect: " in server.stderr
    path = "/v1/models/default:predict"
    response, answer = post(rest, path, {"inputs": 1}, {"Origin": "http://page.example"})
    assert (response.status, list(answer)) == (200, ["outputs"])
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Access-Control-Allow-Methods"] == "POST, GET"
    begun = time.monotonic()
    response, answer = post(rest, path, {"inputs": 3000})
    assert (response.status, list(answer)) == (504, ["error"])
    assert time.monotonic() - begun < 2.5
    server.stop()
    server = serve(f"--model_base_path={models / 'sleep'}").wait_listening()
    response, _ = post(server.port, path, {"inputs": 600}, {"Origin": "http://page.example"})
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, None)
    server.stop()


def test_good_request_is_what_the_flags_of_no_effect_leave_alone(
    serve: Serve, models: Path
) -> None:
    flags = (
        "--allow_version_labels_for_unavailable_models",
        "--num_unload_threads=3",
        "--flush_filesystem_caches=false",
        "--remove_unused_fields_from_bundle_metagraph=false",
        "--prefer_tflite_model",
        "--num_tflite_pools=77",
        "--num_tflite_interpreters_per_pool=2",
        "--enable_profiler",
        "--thread_pool_factory_config_file=/nowhere",
        "--skip_initialize_tpu",
    )
    server = serve(
        f"--model_base_path={models / 'half_plus_two'}", "--model_name=half_plus_two", *flags
    ).wait_listening()
    for flag in flags:
        name = flag.partition("=")[0]
        assert server.stderr.count(f"{name} has no effect: ") == 1, name
    with Connection(server.port) as connection:
        assert connection.call(grpc_headers(), frame(good_request())).grpc_status == 0
    server.stop()
