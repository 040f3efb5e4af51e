"""The protobuf compiler of grpc_tools, as a process of its own.

In one process with TensorFlow it crashes: both bring a C++ protobuf.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path


def run(*arguments: str) -> None:
    """Runs protoc with these arguments; google/protobuf/*.proto can be imported."""
    tools = importlib.util.find_spec("grpc_tools")
    assert tools is not None and tools.submodule_search_locations
    well_known = Path(tools.submodule_search_locations[0]) / "_proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{well_known}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
