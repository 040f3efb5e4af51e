#!/bin/sh
# Makes .venv with what the project needs and builds the package into it.
# Says in one sentence what to install where a tool is missing.
set -eu

fail() {
    echo "setup: $1" >&2
    exit 1
}

# The Python that is in use if TensorFlow supports it, else the newest that it supports.
find_python() {
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10; do
        if "$name" -c '
import sys, venv, ensurepip
sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "TensorFlow needs Python 3.10 to 3.13 with its venv module, and none was found: install one (Debian: apt install python3 python3-venv) or name it with PYTHON=..."
}

command -v cargo >/dev/null 2>&1 ||
    fail "the data plane is built by Rust's cargo, which was not found: install a Rust toolchain (see rust-lang.org/tools/install)"
command -v cc >/dev/null 2>&1 ||
    fail "cargo needs a C linker, cc, which was not found: install one (Debian: apt install gcc)"

python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    echo "setup: $("$python" --version) in .venv"
    "$python" -m venv .venv
fi
echo "setup: dependencies and native core (a few minutes the first time)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint tools/constraints.txt --editable '.[dev]'
