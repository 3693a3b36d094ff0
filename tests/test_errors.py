"""The errors: their exit codes, and the tree at the head of the module."""

from __future__ import annotations

import inspect

import pytest

from vitscope import errors

CODES = {
    "VitscopeError": 1,
    "UsageError": 2,
    "InputError": 3,
    "CheckpointError": 3,
    "DataError": 3,
    "ImageError": 3,
    "CaptureError": 3,
    "EnvironmentFault": 4,
    "OutputError": 5,
    "NotFiniteError": 6,
    "Interrupted": 130,
}


def test_every_error_is_listed_and_in_the_tree():
    found = {
        name for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, Exception)
    }
    assert found == set(CODES) == set(errors.__all__)
    assert list(errors.__all__) == sorted(errors.__all__)
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in CODES)


@pytest.mark.parametrize("name", CODES)
def test_exit_codes_and_hints(name: str):
    kind = getattr(errors, name)
    assert kind("x").exit_code == CODES[name]
    error = kind("what came", hint="what to do")
    assert (str(error), error.hint, kind("x").hint) == ("what came", "what to do", "")
    assert isinstance(error, errors.VitscopeError)


def test_an_interruption_keeps_its_signal():
    assert errors.Interrupted("stopped", exit_code=143).exit_code == 143


def test_input_errors_are_caught_together():
    for name in ("CheckpointError", "DataError", "ImageError", "CaptureError"):
        assert issubclass(getattr(errors, name), errors.InputError)
