"""The checks in a pytest run: an item each.

All are judged together when the first one has its turn. Their node ids are ``llmws::turns/1``: what
pytest selects by a node id, a keyword or a marker, it selects here as well, and what is not
selected is not run.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from llmws_tutorial.checks.case import Case, Verdict
from llmws_tutorial.checks.failure_text import failure_text, summary
from llmws_tutorial.checks.finding import Finding
from llmws_tutorial.checks.pytest_options import Options, is_on_the_command_line, read
from llmws_tutorial.errors import LlmwsError, SetupError

ROOT: Final = "llmws"
"""The node that holds the items; on the command line it stands for all of them."""
_XDIST: Final = "xdist"


class Plugin:
    """The hooks of a run with a server to check."""

    def __init__(self, config: pytest.Config) -> None:
        """Take the run; what was said about it is read when it starts."""
        self._config = config
        self._names = _names(config)
        self._is_asked = self._names == [] and _is_meant(config)
        self._judged: Judged | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Say at once, and once, what cannot work."""
        if self._is_asked or self._names:
            try:
                self._prepare()
            except LlmwsError as error:
                raise pytest.UsageError(str(error)) from None

    def _prepare(self) -> None:
        prefixes = [name.partition("::")[2] for name in self._names]
        options = read(self._config, prefixes if all(prefixes) else [])  # the root means all
        self._judged = Judged(options, is_whole=not _is_one_of_many(self._config))
        server = options.under_test.server
        is_dialled = not (_is_worker(self._config) or self._config.getoption("collectonly"))
        if is_dialled and isinstance(server, str):
            absence = options.under_test.absence()
            if absence is not None:
                raise SetupError(absence)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist what it cannot see: whether a path was named."""
        node.workerinput[ROOT] = self._is_asked

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Take what is ours from the paths to collect."""
        self._config.args = [arg for arg in self._config.args if arg not in self._names]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Add our items to those of the files, before anybody chooses or groups them."""
        if self._judged is not None:
            root = Checks.from_parent(session, name=ROOT, nodeid=ROOT)
            root.fill(self._judged)
            items.extend(item for item in session.genitems(root) if isinstance(item, Check))
        yield


def _names(config: pytest.Config) -> list[str]:
    """What the command line names of ours, such as ``llmws::turns``."""
    if (config.invocation_params.dir / ROOT).exists():
        return []
    return [arg for arg in config.args if arg.partition("::")[0] == ROOT]


def _is_meant(config: pytest.Config) -> bool:
    """Whether the checks belong to a run that does not name them."""
    if _is_worker(config):
        return bool(config.workerinput[ROOT])  # type: ignore[attr-defined]
    is_plain = config.args_source is not pytest.Config.ArgsSource.ARGS
    return is_plain or is_on_the_command_line(config)


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _is_one_of_many(config: pytest.Config) -> bool:
    """Whether other processes may get some of the items."""
    return _is_worker(config) and not config.getoption("loadgroup")


class Checks(pytest.Collector):
    """The node above the items."""

    def fill(self, judged: "Judged") -> None:
        """Take whoever knows what came of the checks."""
        self._judged = judged

    def collect(self) -> Iterator[pytest.Item]:
        """Make an item of each case."""
        for case in self._judged.options.cases:
            item = Check.from_parent(self, name=case.id)
            item.prepare(case, self._judged)
            yield item


class Check(pytest.Item):
    """One check; it passes, fails, is skipped when not seen, or is expected to fail.

    Attributes:
        case: the check.
    """

    def prepare(self, case: Case, judged: "Judged") -> None:
        """Take the case, and who knows what came of it."""
        self.case = case
        self._judged = judged
        self.add_marker(ROOT)
        if self.config.pluginmanager.hasplugin(_XDIST):
            self.add_marker(pytest.mark.xdist_group(ROOT))

    def runtest(self) -> None:
        """Judge all items of the run, unless that was done, and report this one."""
        __tracebackhide__ = True
        self._report(self._judged.finding(self))

    def _report(self, finding: Finding) -> None:
        __tracebackhide__ = True
        if finding.verdict is Verdict.NOT_SEEN:
            pytest.skip(f"not seen; it takes {_as_here(finding)}")
        text = failure_text(
            finding, f"pytest {ROOT}::{self.case.id}{self._judged.options.repeated}"
        )
        options = self._judged.options
        if finding.fails(options.fail_on, strict=options.strict):
            pytest.fail(text, pytrace=False)
        if finding.verdict is not Verdict.OK:
            self.add_report_section("call", "finding", f"{finding.verdict.value}: {text}")
        if finding.verdict is Verdict.FAILED:
            pytest.xfail(f"{finding.case.severity.value}, and that fails no test here")

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say what stands above a failure."""
        return self.config.rootpath / ROOT, None, f"{self.case.id}: {self.case.title}"


class Judged:
    """What came of the checks of a run: found out when the first is asked for.

    Attributes:
        options: what was said about the run.
    """

    def __init__(self, options: Options, *, is_whole: bool) -> None:
        """Prepare to judge all items together (is_whole), or each alone."""
        self.options = options
        self._is_whole = is_whole
        self._findings: dict[str, Finding] = {}
        self._trouble: dict[str, str] = {}

    def finding(self, item: Check) -> Finding:
        """What came of a check; if none could be run, the first item says why."""
        __tracebackhide__ = True
        if self._trouble:
            [(where, _)] = self._trouble.items()
            pytest.skip(f"no check could be run; {where} says why")
        if item.case.id not in self._findings:
            self._judge(item)
        return self._findings[item.case.id]

    def _judge(self, item: Check) -> None:
        __tracebackhide__ = True
        others = [one for one in item.session.items if isinstance(one, Check)]
        cases = [one.case for one in others] if self._is_whole else [item.case]
        try:
            findings = self.options.under_test.judge(cases)
            trouble = summary(findings[0]) if all(map(_is_absence, findings)) else ""
        except LlmwsError as error:
            trouble = str(error)
        if trouble:
            self._trouble = {item.nodeid: trouble}
            pytest.fail(trouble, pytrace=False)
        self._findings |= {found.case.id: found for found in findings}


def _is_absence(finding: Finding) -> bool:
    """Whether a check failed because there was nobody to try it on."""
    return finding.verdict is Verdict.FAILED and finding.exchange is None


def _as_here(finding: Finding) -> str:
    """What it takes to see a case, with the options of pytest."""
    return finding.ruling.expected.replace("--", "--llmws-")
