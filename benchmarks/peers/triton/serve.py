"""`serve.py MODEL WORK GRPC_PORT HTTP_PORT`: becomes the tritonserver of the wheel.

The wheel has Triton's parts in places of its own; they are laid out here as Triton
wants them: a model repository, and a backend folder with the stub of this Python.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path

from pytriton.utils.distribution import get_libs_path, get_root_module_path, get_stub_path

HERE = Path(__file__).resolve().parent


def repository(saved_model, work):
    folder = work / "repository"
    shutil.rmtree(folder, ignore_errors=True)
    version = folder / "mlp" / "1"
    version.mkdir(parents=True)
    shutil.copy(HERE / "config.pbtxt", folder / "mlp")
    shutil.copy(HERE / "model.py", version)
    shutil.copytree(saved_model, version / "saved_model")
    return folder


def backends(work):
    folder = work / "backends"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(get_root_module_path()) / "tritonserver" / "backends", folder)
    shutil.copy(get_stub_path(sysconfig.get_python_version()), folder / "python")
    return folder


def main():
    saved_model, work, grpc_port, http_port = sys.argv[1:]
    work = Path(work)
    server = str(Path(get_root_module_path()) / "tritonserver" / "bin" / "tritonserver")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        # The stub links libpython, which is not where the system looks for one.
        "LD_LIBRARY_PATH": f"{sysconfig.get_config_var('LIBDIR')}:{get_libs_path()}",
    }
    command = [
        server,
        f"--model-repository={repository(saved_model, work)}",
        f"--backend-directory={backends(work)}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--allow-metrics=false",
    ]
    os.execve(server, command, environment)


if __name__ == "__main__":
    main()
