"""Paths that can't be served, each in its own way, and a model with one bad signature."""

import shutil
from pathlib import Path

from export import DEFAULT, patch


def _add_broken_signature(meta_graph) -> None:
    broken = meta_graph.signature_def["broken"]
    broken.CopyFrom(meta_graph.signature_def[DEFAULT])
    broken.outputs["sum"].name = "nowhere:0"


def make(out: Path) -> None:
    good = out / "add" / "1"
    shutil.copytree(good, out / "broken_signature" / "1")
    patch(out / "broken_signature" / "1", _add_broken_signature)

    (out / "empty").mkdir()

    shutil.copytree(good, out / "corrupt" / "1")
    whole = (good / "saved_model.pb").read_bytes()
    (out / "corrupt" / "1" / "saved_model.pb").write_bytes(b"\xff" + whole[: len(whole) // 2])

    with_variables = out / "mlp" / "1"
    shutil.copytree(with_variables, out / "missing_variables" / "1")
    shutil.rmtree(out / "missing_variables" / "1" / "variables")

    shutil.copytree(with_variables, out / "missing_index" / "1")
    (out / "missing_index" / "1" / "variables" / "variables.index").unlink()

    (out / "not_a_model").mkdir()
    (out / "not_a_model" / "notes.txt").write_text("There is no model here.\n")
