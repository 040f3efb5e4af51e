"""A thousand versions come and go under load: no request fails, and no memory stays."""

from pathlib import Path

import grpc
import pytest

from harness.memory import resident_bytes
from harness.traffic import Traffic, half_plus_two
from harness.versions import Versions
from tensorwire.messages import message_type, new_message

CYCLES = 1000
# By then TensorFlow has allocated what it keeps for itself.
SETTLED = 300
# What allocators keep in reserve; a model that stayed would be 700 times its own memory.
GROWTH_BYTES = 24 * 2**20


def reloader(channel: grpc.Channel, model: str):
    """Has a model's versions loaded again, and waits for it."""
    call = channel.unary_unary(
        "/tensorwire.ModelRepository/ReloadModel",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_type("tensorwire.ReloadModelResponse").FromString,
    )
    request = new_message("tensorwire.ReloadModelRequest")
    request.name = model
    return lambda: call(request, timeout=60)


@pytest.mark.timeout(600)
def test_a_thousand_loads_and_unloads(models: Path, start, tmp_path: Path) -> None:
    versions = Versions(models, tmp_path / "m").add(1)
    arguments = ("--measure-budget", "0", "--io-threads", "1", "--intra-op-threads", "1")
    process = start(str(versions.folder), *arguments).wait_serving()
    reload = reloader(process.channel(), "m")
    sizes = []
    with Traffic([process.channel()], half_plus_two("m")) as traffic:
        for cycle in range(CYCLES):
            reply = reload()
            assert [each.version for each in reply.model.versions] == [1]
            if cycle >= SETTLED and cycle % 50 == 0:
                sizes.append(resident_bytes(process.pid))
    traffic.assert_flawless()
    # The least of some, as a load that is under way takes memory of its own.
    first, last = min(sizes[:4]), min(sizes[-4:])
    assert last - first < GROWTH_BYTES, [round(size / 2**20) for size in sizes]
    process.stop()
    loads = process.stderr.count("model m version 1 loaded")
    assert loads == CYCLES + 1
