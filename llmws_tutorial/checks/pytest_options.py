"""What a pytest run says about the server, as options or in an ini file."""

import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from uvicorn.importer import ImportFromStringError, import_from_string

from llmws_tutorial.checks.case import Case, Profile, Severity
from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.memory import App
from llmws_tutorial.checks.probe import PATIENCE_S
from llmws_tutorial.checks.under_test import PATH, UnderTest
from llmws_tutorial.errors import SetupError

_PROFILES: Final = {profile.value: profile for profile in Profile}
_SEVERITIES: Final = {"error": Severity.ERROR, "warning": Severity.WARNING}
_REPEATED: Final = ("url", "app", "path", "profile", "timeout", "fail-on", "llm", "webhook")
_MOST: Final = 65_536
_Choice = TypeVar("_Choice", bound=Enum)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was said about a run, read and found to make sense.

    Attributes:
        under_test: the server, and what its checks need.
        cases: the checks to run.
        strict: whether what could be better fails as well.
        fail_on: what a failed check must cost to fail its test.
        repeated: the options of the command line, for a command that repeats a check.
    """

    under_test: UnderTest
    cases: tuple[Case, ...]
    strict: bool
    fail_on: Severity
    repeated: str


def read(config: pytest.Config, prefixes: Sequence[str]) -> Options:
    """Read what was said; an app is imported.

    Args:
        config: where it was said.
        prefixes: of the ids of the checks to run; none: those of ``--llmws-checks``.

    Raises:
        SetupError: when something makes no sense; the text says what was expected.
    """
    profile = _chosen(config, "profile", _PROFILES) or Profile.CURRENT
    said = [prefix.strip() for prefix in _said(config, "checks").split(",")]
    port = _number(config, "llm", "a TCP port")
    return Options(
        under_test=UnderTest(
            server=_server(config),
            path=_said(config, "path") or PATH,
            patience_s=_number(config, "timeout", "seconds") or PATIENCE_S,
            llm_port=None if port is None else int(port),
            webhook=_said(config, "webhook") or None,
            webhook_key=_said(config, "webhook-key") or os.environ.get("LLMWS_WEBHOOK_KEY", ""),
        ),
        cases=tuple(select(*(prefixes or filter(None, said)), profile=profile)),
        strict=_is_strict(config),
        fail_on=_chosen(config, "fail-on", _SEVERITIES) or Severity.ERROR,
        repeated=_repeated(config),
    )


def is_on_the_command_line(config: pytest.Config) -> bool:
    """Whether a server was named there: then its checks are wanted in any case."""
    return bool(_option(config, "url") or _option(config, "app"))


def load(target: str, root: Path) -> App:
    """Import an app by its name, such as ``main:app``, as uvicorn does.

    Args:
        target: the module and the name in it.
        root: the folder that the module is looked for in, besides the usual ones.

    Raises:
        SetupError: when there is no such app.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        app: Any = import_from_string(target)
    except ImportFromStringError as error:
        raise SetupError(f"cannot check {target!r}: {str(error).rstrip('.')}") from None
    except Exception as error:  # of the user's own module
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise SetupError(
            f"cannot check {target!r}: it cannot be imported: {error!r} "
            f"({where.filename}, line {where.lineno})"
        ) from None
    if not callable(app):
        kind = type(app).__name__
        raise SetupError(f"cannot check {target!r}: it is {kind}, expected an app like FastAPI()")
    return app  # type: ignore[no-any-return]


def _server(config: pytest.Config) -> str | App:
    """The server; what the command line names counts more than a file."""
    read_one = _option if is_on_the_command_line(config) else _ini
    url, app = read_one(config, "url"), read_one(config, "app")
    if url and app:
        raise SetupError(f"got the URL {url!r} and the app {app!r}, expected one of them")
    return url or load(app, config.rootpath)


def _said(config: pytest.Config, name: str) -> str:
    return _option(config, name) or _ini(config, name)


def _option(config: pytest.Config, name: str) -> str:
    return config.getoption(_key(name)) or ""


def _ini(config: pytest.Config, name: str) -> str:
    return str(config.getini(_key(name))).strip()


def _key(name: str) -> str:
    return f"llmws_{name.replace('-', '_')}"


def _is_strict(config: pytest.Config) -> bool:
    return bool(config.getoption("llmws_strict") or config.getini("llmws_strict"))


def _chosen(config: pytest.Config, name: str, choices: Mapping[str, _Choice]) -> _Choice | None:
    said = _said(config, name)
    if said and said not in choices:
        raise SetupError(f"{_key(name)} is {said!r}, expected {' or '.join(choices)}")
    return choices.get(said)


def _number(config: pytest.Config, name: str, unit: str) -> float | None:
    """A number above 0; None when nothing was said."""
    said = _said(config, name)
    if not said:
        return None
    with contextlib.suppress(ValueError):
        if 0 < (number := float(said)) < _MOST:  # which "nan" is not
            return number
    raise SetupError(f"{_key(name)} is {said!r}, expected {unit}, above 0 and below {_MOST}")


def _repeated(config: pytest.Config) -> str:
    given = [(name, _option(config, name)) for name in _REPEATED if _option(config, name)]
    options = [f" --llmws-{name} {shlex.quote(value)}" for name, value in given]
    return "".join(options) + " --llmws-strict" * bool(config.getoption("llmws_strict"))
