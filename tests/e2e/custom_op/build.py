"""`build.py FOLDER`: compiles plus_one.cc and saves a model that needs it, in FOLDER."""

import subprocess
import sys
from pathlib import Path

import tensorflow as tf

HERE = Path(__file__).parent


def main(folder: Path) -> None:
    library = folder / "plus_one.so"
    # -w: TensorFlow's own headers warn about themselves.
    command = ["g++", "-shared", "-fPIC", "-w", str(HERE / "plus_one.cc"), "-o", str(library)]
    command += [*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
    subprocess.run(command, check=True)
    op = tf.load_op_library(str(library))

    class PlusOne(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
        def __call__(self, x):
            return {"y": op.tensorwire_plus_one(x=x)}

    module = PlusOne()
    tf.saved_model.save(module, str(folder / "plus_one" / "1"), signatures=module.__call__)


main(Path(sys.argv[1]))
