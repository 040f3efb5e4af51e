"""`build.py FOLDER`: compiles triple.c and saves a model that needs it, in FOLDER."""

import subprocess
import sys
from pathlib import Path

import tensorflow as tf

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    library = folder / "triple.so"
    include = tf.sysconfig.get_include()
    command = ["cc", "-shared", "-fPIC", "-I", include, str(HERE / "triple.c"), "-o", str(library)]
    command += tf.sysconfig.get_link_flags()
    subprocess.run(command, check=True)
    op = tf.load_op_library(str(library))

    class Triple(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": op.tensorwire_test_triple(x=x)}

    module = Triple()
    tf.saved_model.save(module, str(folder / "triple" / "1"), signatures=module.__call__)


main(Path(sys.argv[1]))
