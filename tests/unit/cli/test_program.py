import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tensorwire import cli
from tensorwire.cli import program as program_module
from tensorwire.cli.choice import callable_signature
from tensorwire.cli.program import program, run
from tensorwire.config import all_settings
from tensorwire.config.loading import ONLY_IN_PROGRAMS
from tensorwire.errors import ConfigError, ModelLoadError
from tensorwire.signature import Signature

COMMANDS = ("serve", "predict", "inspect", "demo")


@pytest.mark.parametrize("command", [(), *((each,) for each in COMMANDS)])
def test_help_has_examples(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(program, [*command, "--help"])
    assert result.exit_code == 0
    assert "--debug" in result.output
    if command != ("demo",):
        assert f"  tensorwire {' '.join(command)}" in result.output


def test_help_lists_the_commands() -> None:
    output = CliRunner().invoke(program, ["--help"]).output
    for command in COMMANDS:
        assert f"\n  {command} " in output
    assert "..." not in output.split("Commands:")[1]


def test_serve_has_an_option_for_every_setting() -> None:
    output = CliRunner().invoke(program, ["serve", "--help"], terminal_width=100).output
    settings = {
        name: each for name, each in all_settings().items() if name not in ONLY_IN_PROGRAMS
    }
    for name, setting in settings.items():
        assert (
            f"--{name.replace('_', '-')} " in output or f"--{name.replace('_', '-')}\n" in output
        )
        assert setting.variable in output
    headings = [line for line in output.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[0] == "Options:"
    assert set(headings[1:]) == {f"{each.heading}:" for each in settings.values()}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve"], "say what to serve"),
        (["serve", "x", "--port", "70000"], "port can't be '70000'"),
        (["serve", "x", "--grace", "soon"], "grace can't be 'soon'"),
        (["serve", "x", "--log-format", "xml"], "log_format can't be 'xml'"),
        (["serve", "--model", "x"], "'x' is not NAME=PATH"),
        (["serve", "--model", "=x"], "a model's name can't be empty"),
        (["serve", "--model", "a/b=x"], "the model name 'a/b' can't contain '/'"),
        (["serve", "/"], "a model's name can't be empty"),
        (["serve", "a/m", "b/m"], "would both be called 'm'"),
        (["serve", "a/m", "--model", "m=x"], "would both be called 'm'"),
        (["serve", "a", "b", "--default-model", "zz"], "default_model can't be 'zz'"),
        (["serve", "a", "--ready-file", "/nope/x"], "'/nope/x' can't be written: there is no"),
        (
            ["serve", "a", "--no-batching", "b"],
            "batching is set for a model 'b': the models served",
        ),
        (["serve", "a", "--allowed-batch-sizes", "4,2"], "must be monotonically increasing"),
        (["serve", "a", "--batching-parameters", "a=/x"], "there is no file /x"),
        (["predict"], "Missing argument 'TARGET'"),
        (["predict", "h:1", "m", "--scale", "1"], "'1' is no scale"),
        (["predict", "h:1", "m", "--timeout", "0"], "'0' leaves no time"),
        (["predict", "h:1", "m", "--timeout", "x"], "'x' is no duration"),
        (["inspect"], "Missing argument"),
        (["no-such-command"], "No such command"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_is_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["inspect", "nonsense"],
            "error: 'nonsense' is neither a path that exists nor HOST:PORT\n",
        ),
    ],
)
def test_a_failure_is_1_and_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def failing(error: BaseException) -> click.Command:
    @click.command("fails")
    @program_module.debug_option
    def fails() -> None:
        raise error

    return fails


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (ModelLoadError("two\nlines"), 1, "error: two lines\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "Permission denied: '/x'"),
        (RuntimeError("a fault"), 1, "error: RuntimeError: a fault (--debug shows where)\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line_unless_debugged(
    error: BaseException,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(program.commands, "fails", failing(error))
    assert run(["fails"]) == status
    quiet = capsys.readouterr().err
    assert says in quiet
    assert "Traceback" not in quiet
    if status == 1:
        for arguments in (["--debug", "fails"], ["fails", "--debug"]):
            run(arguments)
            assert "Traceback" in capsys.readouterr().err


def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def find_spec(name: str, *rest: Any) -> Any:
        return None if name in ("click", "rich") else found(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert cli.main([]) == 1
    assert capsys.readouterr().err == (
        "tensorwire: the command line needs click and rich; "
        "install it with: pip install 'tensorwire[cli]'\n"
    )


INTERRUPTED_WHILE_IT_LOADS = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *rest):
        if name == "tensorwire.cli.program":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from tensorwire.cli import main
sys.exit(main(["serve", "x"]))
"""


def test_an_interrupt_while_the_program_loads() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_LOADS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_an_interrupt_before_signals_are_taken_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(program_module, "forget_debug", interrupted)
    assert cli.main(["serve", "x"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_signature_that_tensorflow_keeps_is_no_choice() -> None:
    own = Signature("__saved_model_init_op", "", {}, {})
    offered = Signature("serving_default", "", {}, {})
    signatures = {each.name: each for each in (own, offered)}
    for asked in ("zz", own.name):
        with pytest.raises(ConfigError) as caught:
            callable_signature(signatures, asked, "m")
        assert str(caught.value) == (
            f"model m has no signature {asked!r}; it has: serving_default"
        )


@pytest.mark.parametrize(
    "command",
    [
        ("models", "list", "localhost:1"),
        ("models", "config", "localhost:1"),
        ("replay", "LOG", "localhost:1"),
        ("warmup", "show", "LOG"),
        ("warmup", "record", "--from-log", "LOG", "--no-check", "-o", "OUT"),
    ],
)
def test_without_protobuf_it_says_what_to_install(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"any bytes")
    places = {"LOG": str(log), "OUT": str(tmp_path / "out")}
    program = (
        "import sys\n"
        "sys.modules['google'] = None\n"
        "from tensorwire.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *(places.get(word, word) for word in command)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: protobuf, which this needs, is not installed: pip install 'tensorwire[server]'\n"
    )
