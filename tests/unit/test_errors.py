"""The exception tree."""

import pickle
import re

import pytest

from tensorwire import _core, errors


def test_every_code_has_its_exception() -> None:
    codes = ["CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"]
    codes += ["ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED"]
    codes += ["FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL"]
    codes += ["UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]
    for code in codes:
        error = errors.from_native(_core.NativeError(code, "why", "host:1"), model="m")
        assert (error.code, error.details, error.model, error.target) == (
            code,
            "why",
            "m",
            "host:1",
        )
        assert type(error).__name__.removesuffix("Error").upper() == code.replace("_", "")
    assert len({error.code for error in errors.CallError.__subclasses__()}) == len(codes)


def test_unlisted_code_is_unknown() -> None:
    assert type(errors.from_native(_core.NativeError("NEW", "why", ""))) is errors.UnknownError


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidArgumentError, ValueError),
        (errors.NotFoundError, LookupError),
        (errors.DeadlineExceededError, TimeoutError),
        (errors.UnavailableError, ConnectionError),
        (errors.PermissionDeniedError, PermissionError),
        (errors.UnimplementedError, NotImplementedError),
        (errors.ConfigError, ValueError),
        (errors.TensorTypeError, TypeError),
        (errors.TensorFlowMissingError, ImportError),
    ],
)
def test_builtin_kinds_catch_it(kind: type[errors.TensorWireError], builtin: type) -> None:
    with pytest.raises(builtin):
        raise kind("why")


def test_one_sentence() -> None:
    sentence = str(errors.NotFoundError("no such model", model="m", target="host:1"))
    assert sentence == "no such model (NOT_FOUND, model 'm', at host:1)"
    sentence = str(errors.UnavailableError("cannot connect to host:1: refused", target="host:1"))
    assert sentence == "cannot connect to host:1: refused (UNAVAILABLE)"
    assert str(errors.ConfigError("there is no setting 'x'")) == "there is no setting 'x'"
    sentence = str(errors.TensorTypeError("input 'x' is no array", model="m", target="host:1"))
    assert sentence == "input 'x' is no array (model 'm', at host:1)"
    sentence = str(errors.NotFoundError("model 'm' is gone", model="m"))
    assert sentence == "model 'm' is gone (NOT_FOUND)"
    sentence = str(errors.PredictionError("not a number", model="m", target="host:1"))
    assert sentence == "not a number (model 'm', at host:1)"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name.endswith("Error")])
def test_survives_pickling(name: str) -> None:
    error = getattr(errors, name)("why", model="m", target="host:1")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert (copy.details, copy.model, copy.target) == ("why", "m", "host:1")


def test_docstring_draws_every_exception_under_its_parent() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"((?:│   |    |├── |└── )*)(\w+Error)\b", line)
        if found:
            depth = len(found[1]) // 4
            above = [*above[:depth], found[2]]
            drawn[found[2]] = above[depth - 1] if depth else "Exception"
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in kinds}
