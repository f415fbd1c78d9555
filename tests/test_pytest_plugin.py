"""The pytest plugin: a test of each check, chosen and reported as pytest does it."""

import shlex
import subprocess
import sys
from typing import Any, Final

import httpcore2  # noqa: F401 - httpx2 loads it late, and a run of pytest in here would unload it
import pytest

from llmws_tutorial import pytest_plugin
from llmws_tutorial.notebook import serve
from llmws_tutorial.notebook.runtime import bind
from llmws_tutorial.steps import step3

pytest_plugins = "pytester"
Outcomes = dict[str, int]
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestAssertRewriteWarning")
APPS: Final = """
    from llmws_tutorial.steps.step2 import app as step2
    from llmws_tutorial.steps.step3 import app as step3
    number = 3
"""
MUTE: Final = "llmws::begin/1 --llmws-app servers:step2 --llmws-timeout 0.1"


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with some apps, no other plugin, and every warning an error."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(servers=APPS)
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers")
    return pytester


def run(pytester: pytest.Pytester, options: str) -> pytest.RunResult:
    """Run pytest here, with the plugin, whether or not this environment knows it already."""
    return pytester.runpytest_inprocess(*shlex.split(options), plugins=[pytest_plugin])


def ini(pytester: pytest.Pytester, **settings: Any) -> None:
    lines = [f"{key} = {value}" for key, value in settings.items()]
    pytester.makeini("\n".join(["[pytest]", *lines]))


def outcomes(pytester: pytest.Pytester, options: str) -> Outcomes:
    return run(pytester, options).parseoutcomes()


def test_an_app_is_checked_without_a_port(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--llmws-app servers:step3 --llmws-checks begin/1,turns/1 -v")
    result.stdout.fnmatch_lines(["llmws::begin/1 PASSED*", "llmws::turns/1 PASSED*"])
    assert result.ret == 0


def test_a_server_is_checked_by_its_url(pytester: pytest.Pytester) -> None:
    with serve(step3.app, name="judged", show_log=False) as server:
        url = server.websocket_url
        assert outcomes(pytester, f"--llmws-url {url} --llmws-checks begin/1") == {"passed": 1}


def test_a_failure_is_the_finding_in_full_and_no_traceback(pytester: pytest.Pytester) -> None:
    result = run(pytester, MUTE)
    result.stdout.fnmatch_lines(
        [
            "*_ begin/1: sends the first message _*",
            "expected a whole answer with response_id 0, got none",
            "  required  The first message has response_id 0 and is complete. [[]guide, step 2;*]",
            "*the socket is open",
            "            >*in vain: wait for the whole first message (response_id 0)",
            "  why       The agent stays mute until it comes*",
            "  fix       send the begin message right after accepting the socket*",
            "  example   llmws explain begin/1",
            f"  repeat    pytest {MUTE}",
            "FAILED llmws::begin/1 - *expected a whole answer*",
        ]
    )
    result.stdout.no_fnmatch_line("*Error*")


def test_what_is_not_seen_is_skipped_with_what_it_takes(pytester: pytest.Pytester) -> None:
    result = run(pytester, "--llmws-app servers:step3 llmws::turns/8 -rs")
    result.stdout.fnmatch_lines(["SKIPPED * not seen; it takes --llmws-llm PORT, and your server*"])
    assert result.parseoutcomes() == {"skipped": 1}


def test_what_could_be_better_passes_unless_strictly(pytester: pytest.Pytester) -> None:
    options = "llmws::calls/7 --llmws-app servers:step3 -rP"
    result = run(pytester, f"{options} --llmws-fail-on warning")
    assert result.parseoutcomes() == {"passed": 1}
    result.stdout.fnmatch_lines(
        ["*- Captured finding call -*", "not strict: expected a secret in the path*"]
    )
    assert outcomes(pytester, f"{options} --llmws-strict") == {"failed": 1}


def test_what_costs_less_than_wanted_is_expected_to_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        late="""
        from llmws_tutorial.checks.samples.gallery import WRONG
        app = WRONG["begin/2"]().app
    """
    )
    path = "/llm-websocket/a-long-random-word/"
    options = f"llmws::begin/2 --llmws-app late:app --llmws-path {path}"
    assert outcomes(pytester, options) == {"xfailed": 1}
    assert outcomes(pytester, f"{options} --llmws-fail-on warning") == {"failed": 1}
    assert outcomes(pytester, f"{options} --runxfail") == {"passed": 1}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("llmws::turns/1", {"passed": 1}),
        ("llmws::turns/1 llmws::turns/8", {"passed": 1, "skipped": 1}),
        ("llmws -k begin/1", {"passed": 1}),
        ("-m llmws --llmws-checks begin/1", {"passed": 1}),
        ("-m 'not llmws' --llmws-checks begin/1", {"deselected": 1, "passed": 1}),
        ("llmws --llmws-checks begin/1,begin/2 --deselect llmws::begin/2", {"passed": 1}),
        ("test_own.py llmws::begin/1", {"passed": 2}),
        ("test_own.py --llmws-checks begin/1", {"passed": 2}),
    ],
)
def test_checks_are_chosen_as_tests_are(
    pytester: pytest.Pytester, options: str, wanted: Outcomes
) -> None:
    pytester.makepyfile(test_own="def test_own(): pass")
    got = outcomes(pytester, f"--llmws-app servers:step3 {options}")
    assert {name: got.get(name) for name in wanted} == wanted


def test_a_file_may_name_the_app(pytester: pytest.Pytester) -> None:
    """Then the checks belong to a run of everything, and to no other."""
    pytester.makepyfile(test_own="def test_own(): pass")
    ini(
        pytester,
        llmws_app="servers:step3",
        llmws_checks="begin/1",
        llmws_strict="true",
        llmws_fail_on="warning",
    )
    assert outcomes(pytester, "") == {"passed": 2}
    assert outcomes(pytester, "test_own.py") == {"passed": 1}
    assert outcomes(pytester, "llmws::calls/7") == {"failed": 1}
    assert outcomes(pytester, "--llmws-app servers:step2 --llmws-checks calls/1") == {"passed": 2}


def test_a_path_of_that_name_is_a_path(pytester: pytest.Pytester) -> None:
    pytester.mkdir("llmws").joinpath("test_own.py").write_text("def test_own(): pass")
    ini(pytester, llmws_app="servers:step3", llmws_checks="begin/1")
    assert outcomes(pytester, "llmws") == {"passed": 1}


WRONG_USE: Final = [
    ("--llmws-app servers", "cannot check 'servers': Import string \"servers\" must be in*"),
    ("--llmws-app nowhere:app", "cannot check 'nowhere:app': Could not import module \"nowhere\""),
    ("--llmws-app servers:app", "cannot check 'servers:app': Attribute \"app\" not found in*"),
    ("--llmws-app servers:number", "cannot check *: it is int, expected an app like FastAPI()"),
    ("--llmws-app broken:app", "cannot check 'broken:app': * ZeroDivisionError*broken.py, line 1)"),
    (
        "--llmws-app servers:step3 --llmws-url ws://h/",
        "got the URL 'ws://h/' and the app 'servers*",
    ),
    (
        "--llmws-url localhost:3000",
        "cannot dial 'localhost:3000': expected ws://host/llm-websocket*",
    ),
    ("--llmws-url ws://127.0.0.1:1/x/", "cannot call 127.0.0.1:1: nothing answers*"),
    ("--llmws-app servers:step3 --llmws-checks turn/1", "no check in profile * with 'turn/1'*"),
    ("--llmws-app servers:step3 --llmws-profile new", "*is 'new', expected guide-2024 or current"),
    ("--llmws-app servers:step3 --llmws-fail-on advice", "*'advice', expected error or warning"),
    ("--llmws-app servers:step3 --llmws-timeout 2s", "llmws_timeout is '2s', expected seconds*"),
    ("--llmws-app servers:step3 --llmws-llm 65536", "llmws_llm is '65536', expected a TCP port*"),
    ("--llmws-app servers:step3 llmws::turn/1", "no check in profile * with 'turn/1'*"),
]


@pytest.mark.parametrize(("options", "said"), WRONG_USE, ids=[one for one, _ in WRONG_USE])
def test_wrong_use_is_said_once_and_in_words(
    pytester: pytest.Pytester, options: str, said: str
) -> None:
    pytester.makepyfile(broken="1 / 0")
    result = run(pytester, options)
    assert result.ret is pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])
    assert len(result.errlines) <= 2
    assert result.outlines == []


def test_a_place_where_no_call_is_taken_fails_one_test_and_skips_the_others(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        "--llmws-app servers:step3 --llmws-path /nowhere/ llmws::turns/1 llmws::turns/8 -rs",
    )
    assert result.parseoutcomes() == {"failed": 1, "skipped": 1}
    result.stdout.fnmatch_lines(
        [
            "expected an open socket, got cannot call the app: it refused the socket (HTTP 403)*",
            "SKIPPED * no check could be run; llmws::turns/1 says why",
        ]
    )


def test_a_model_is_served_for_the_app_to_ask(pytester: pytest.Pytester) -> None:
    with bind(0) as free:
        port = free.getsockname()[1]
    pytester.makepyfile(
        asking=f"""
        from openai import AsyncOpenAI
        from llmws_tutorial.server import create_app
        from llmws_tutorial.server.llm import LlmResponder
        client = AsyncOpenAI(api_key="any", base_url="http://127.0.0.1:{port}/v1")
        app = create_app(LlmResponder("any", client=client))
    """
    )
    options = f"--llmws-app asking:app --llmws-llm {port} llmws::turns/8"
    assert outcomes(pytester, options) == {"passed": 1}
    with bind(port):
        result = run(pytester, options)
    result.stdout.fnmatch_lines([f"port {port} *", "FAILED llmws::turns/8 - *port*"])


def test_a_run_without_a_server_loads_nothing_of_the_checks() -> None:
    code = f"import sys, {pytest_plugin.__name__}; print([m for m in sys.modules if 'llmws' in m])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert loaded.strip() == "['llmws_tutorial', 'llmws_tutorial.pytest_plugin']"


WORKER: Final = """
    import pytest

    def pytest_configure(config):
        config.addinivalue_line("markers", "xdist_group: as xdist has it")
        config.pluginmanager.register(object(), "xdist")

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(early_config):
        early_config.workerinput = {"llmws": IS_ASKED}

    def pytest_addoption(parser):
        parser.addoption("--loadgroup", action="store_true")
"""


class Node:
    """A worker, as xdist shows it to plugins."""

    def __init__(self) -> None:
        self.workerinput: dict[str, Any] = {}


@pytest.mark.parametrize(("path", "is_asked"), [("", True), ("servers.py", False)])
def test_a_worker_of_xdist_is_told_whether_a_path_was_named(
    pytester: pytest.Pytester, path: str, is_asked: bool
) -> None:
    ini(pytester, llmws_app="servers:step3")
    config = pytester.parseconfigure("-p", pytest_plugin.__name__, *path.split())
    node = Node()
    config.hook.pytest_configure_node(node=node)
    assert node.workerinput == {"llmws": is_asked}


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_worker_of_xdist_does_as_it_is_told(pytester: pytest.Pytester, is_asked: bool) -> None:
    """It sees the paths of a run as named, whether somebody named them or not."""
    pytester.makepyfile(test_own="def test_own(): pass")
    pytester.makepyfile(worker=WORKER.replace("IS_ASKED", str(is_asked)))
    ini(pytester, llmws_app="servers:step3", llmws_checks="turns/1, turns/8")
    options = "-p worker test_own.py"
    pytester.syspathinsert()
    wanted = {"passed": 2, "skipped": 1} if is_asked else {"passed": 1}
    assert outcomes(pytester, options) == wanted
    assert outcomes(pytester, f"{options} --loadgroup") == wanted


def test_a_test_of_ones_own_may_check_an_app(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_own="""
        from servers import step2, step3

        def test_right(llmws_check):
            llmws_check(step3, "begin/1")

        def test_wrong(llmws_check):
            llmws_check(step2, "begin/1", patience_s=0.1)
    """
    )
    result = run(pytester, "")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["E *begin/1: expected a whole answer with response_id 0*"])
    result.stdout.no_fnmatch_line("*pytest_fixture.py*")
