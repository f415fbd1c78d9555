"""The checks as one assertion, for a test that brings its own server."""

from collections.abc import Sequence
from typing import Any

from llmws_tutorial.checks.case import Profile, Severity
from llmws_tutorial.checks.catalogue import select
from llmws_tutorial.checks.failure_text import failure_text
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.memory import App
from llmws_tutorial.checks.under_test import UnderTest


class CheckServer:
    """What the fixture ``llmws_check`` gives: called with a server, it may raise."""

    def __call__(
        self,
        server: str | App,
        *prefixes: str,
        profile: Profile | str = Profile.CURRENT,
        fail_on: Severity = Severity.ERROR,
        strict: bool = False,
        **needs: Any,
    ) -> None:
        """Run the checks whose ids start with one of the prefixes (all without any).

        In a coroutine it blocks the event loop, and the app runs on another one meanwhile.

        Args:
            server: an ASGI app, called without a port, or a URL without a call id.
            prefixes: for example ``begin`` or ``turns/1``.
            profile: the form of the protocol, or its name.
            fail_on: what a failed check must cost to count.
            strict: whether what could be better counts as failed.
            needs: what the checks need besides, such as `path`; see `UnderTest`.

        Raises:
            AssertionError: when a check failed, with what to do.
            CannotConnect: when the URL cannot be dialled at all, or the app does not start.
            SetupError: when no check's id starts with one of the prefixes.
        """
        __tracebackhide__ = True
        cases = select(*prefixes, profile=Profile(profile))
        findings = UnderTest(server=server, **needs).judge(cases)
        _complain(findings, [one for one in findings if one.fails(fail_on, strict=strict)])


def _complain(findings: Sequence[Finding], failures: Sequence[Finding]) -> None:
    """Raise if there are failures; once, if that is because nobody was there."""
    __tracebackhide__ = True
    if not failures:
        return
    if not any(found.was_open for found in findings):
        raise AssertionError(failures[0].ruling.got)
    ids = ", ".join(found.case.id for found in failures)
    count = f"{len(failures)} of {len(findings)} failed: {ids}"
    texts = [f"{found.case.id}: {failure_text(found)}" for found in failures]
    raise AssertionError("\n\n".join([count, *texts]))
