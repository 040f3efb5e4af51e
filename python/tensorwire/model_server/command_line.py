"""Reads a command line as TensorFlow's own flags are read: only `--name=value`, and `--name`
for a truth. That is no syntax of click's, which takes `--name value` and abbreviations and
ends at the first unknown option, where TensorFlow Serving goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .flag import Flag, Kind, Value
from .flags import BY_NAME, FLAGS

_USAGE_WIDTH = 49
"""Where the kinds stand in the usage text."""


@dataclass
class CommandLine:
    """What a command line says."""

    given: dict[str, Value] = field(default_factory=dict)
    """The flags that were given, with their last values."""

    unknown: list[str] = field(default_factory=list)
    """The arguments that are no flags."""

    faults: list[str] = field(default_factory=list)
    """What can't be used, in sentences."""

    def __getitem__(self, name: str) -> Value:
        """A flag's value, given or not."""
        if name in self.given:
            return self.given[name]
        return BY_NAME[name].usual

    def text(self, name: str) -> str:
        """A flag whose kind is string."""
        return str(self[name])

    def number(self, name: str) -> int:
        """A flag whose kind is a whole number."""
        return int(self[name])

    def is_on(self, name: str) -> bool:
        """A flag whose kind is bool."""
        return bool(self[name])

    def changed(self, name: str) -> bool:
        """It was given, and is not what it would be otherwise."""
        return name in self.given and self.given[name] != BY_NAME[name].usual

    @property
    def wants_usage(self) -> bool:
        """Something is wrong with it, or `--help` is all of it that is no flag."""
        return bool(self.faults) or self.unknown[:1] == ["--help"]


def read(arguments: Sequence[str]) -> CommandLine:
    """What these arguments, without the program's name, say."""
    line = CommandLine()
    for index, argument in enumerate(arguments):
        if argument == "--":
            line.unknown += arguments[index:]
            break
        _read_one(line, argument)
    return line


def _read_one(line: CommandLine, argument: str) -> None:
    name, equals, value = argument.removeprefix("--").partition("=")
    flag = BY_NAME.get(name) if argument.startswith("--") else None
    # A flag that needs a value and has no `=` is no flag to TensorFlow either.
    if flag is None or (not equals and flag.kind is not Kind.BOOL):
        line.unknown.append(argument)
        return
    try:
        line.given[name] = flag.parse(value if equals else None)
    except ValueError as error:
        line.faults.append(f"--{name} can't be {value!r}: {error}")


def usage(program: str) -> str:
    """The usage text: every flag with its default, its kind and what it does."""
    lines = [f"usage: {program}", "Flags:"]
    lines += [
        f"\t{_shown(flag):<{_USAGE_WIDTH}}\t{flag.kind.value}\t{_described(flag)}"
        for flag in FLAGS
    ]
    lines.append(
        "What no flag says is set by the variables that `tensorwire serve --help` lists, such as "
        "TENSORWIRE_HOST."
    )
    return "\n".join(lines) + "\n"


def _described(flag: Flag) -> str:
    return flag.description if flag.is_effective else f"Without effect: {flag.description}"


def _shown(flag: Flag) -> str:
    usual = flag.usual
    if flag.kind is Kind.STRING:
        value = f'"{usual}"'
    elif flag.kind is Kind.BOOL:
        value = str(usual).lower()
    else:
        value = f"{usual:g}" if flag.kind is Kind.FLOAT else str(usual)
    return f"--{flag.name}={value}"
