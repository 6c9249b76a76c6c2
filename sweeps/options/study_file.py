"""`--study FILE.py[:FUNCTION]`: a preset from a Python file of the user's own."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sweeps.spaces import Preset
from transfusion.problems import SettingError

FUNCTION = "study"
"""The function that is called where none is named."""
MODULE = "study_file_of_the_user"


def load(text: str) -> Preset:
    """What the file's function returns.

    Args:
        text: the value of `--study`.

    Raises:
        SettingError: no such file or function, an error in either with its line, or no usable preset.
    """
    name, _, function = text.partition(".py:")
    path = Path(f"{name}.py" if function else name)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SettingError(
            f"--study {path}: found {reason.lower()}, expected a Python file; name one, as FILE.py or "
            "FILE.py:FUNCTION"
        ) from error
    found = _call(path, lambda: _function(path, source, function or FUNCTION)())
    if not isinstance(found, Preset):
        raise SettingError(
            f"--study {path}: found {type(found).__name__} returned by {function or FUNCTION}, expected a "
            "Preset; return one"
        )
    _call(path, found.cells)
    return found


def _function(path: Path, source: str, name: str) -> Callable[[], Any]:
    """The function of this name, once the file has run."""
    module = ModuleType(MODULE)
    module.__file__ = str(path)
    sys.modules[MODULE] = module  # dataclasses look up the module of their class
    exec(compile(source, str(path), "exec"), module.__dict__)
    function = getattr(module, name, None)
    if callable(function):
        return function
    own = [
        one
        for one, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == MODULE and not one.startswith("_")
    ]
    raise _NoFunctionError(
        f"found no function {name}, expected one that returns a Preset; "
        + (f"name one of {', '.join(own)}: --study {path}:{own[0]}" if own else "write one")
    )


class _NoFunctionError(Exception):
    """The file has no function of the name that was asked for."""


def _call(path: Path, function: Callable[[], Any]) -> Any:
    """The result of code of the user's.

    Raises:
        SettingError: whatever it raises, with the last line of the file that led there.
    """
    try:
        return function()
    except _NoFunctionError as error:
        raise SettingError(f"--study {path}: {error}") from error
    except SyntaxError as error:
        line = error.lineno if error.filename == str(path) else _line(path, error)
        raise _told(path, line, f"{type(error).__name__}: {error.msg}") from error
    except SettingError as error:
        raise _told(path, _line(path, error), str(error)) from error
    except (Exception, SystemExit) as error:
        raise _told(path, _line(path, error), f"{type(error).__name__}: {error}") from error


def _told(path: Path, line: int | None, said: str) -> SettingError:
    where = f"{path}, line {line}" if line else str(path)
    if "expected" in said:
        return SettingError(f"--study {where}: {said}")
    return SettingError(f"--study {where}: found {said}, expected a preset; correct the file")


def _line(path: Path, error: BaseException) -> int | None:
    """The last line of the file that `error` went through."""
    lines = [one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == str(path)]
    return lines[-1] if lines else None
