"""Serves a model until Ctrl-C or SIGTERM: what `tensorwire serve` does, from Python.

python examples/serve.py ./half_plus_two 50051
"""

import sys

import tensorwire as tw

path = sys.argv[1]
port = int(sys.argv[2]) if len(sys.argv) > 2 else 50051

tw.serve({"half_plus_two": path}, port=port, grace="10s")
