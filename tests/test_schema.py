"""The schemas: committed as generated, valid, and of one mind with the code that reads frames."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator

from llmws_tutorial import __version__
from llmws_tutorial.errors import ProtocolError
from llmws_tutorial.messages import (
    Request,
    ServerMessage,
    UnknownRequest,
    read_request,
    read_response,
)
from llmws_tutorial.messages.schema import FILES, FOLDER, Format, generate, write_files
from tests.test_messages import GREETING, MISTYPED, REQUESTS, RESPONSES

REGENERATE: Final = "out of date: run python -m llmws_tutorial.messages.schema"
SCHEMA: Final = json.loads(generate(Format.JSONSCHEMA))
ASYNCAPI: Final = json.loads(generate(Format.ASYNCAPI))
DIRECTIONS: Final = {"Request": Request.__args__, "ServerMessage": ServerMessage.__args__}
FRAMES: Final = [
    *[("Request", type(message).__name__, frame) for frame, message in REQUESTS],
    *[("ServerMessage", type(message).__name__, frame) for frame, message in RESPONSES],
]
ODD: Final = [None, True, -1, 1.5, "", "odd", [], [1], {}, {"odd": 1}]
PARSER: Final = "@asyncapi/parser@3.6.3"
VALIDATE: Final = """
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";
const found = await new Parser().validate(readFileSync(0, "utf8"));
console.log(JSON.stringify(found.map((one) => one.code)));
"""
"""Prints the codes of what the official parser has to say about the document on its stdin."""
every_format = pytest.mark.parametrize("wanted", Format)
every_frame = pytest.mark.parametrize(("direction", "name", "frame"), FRAMES)


def schema_of(name: str) -> Validator:
    """The JSON Schema of a direction or of a message."""
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def payload_of(name: str) -> Validator:
    """The payload of a message in the AsyncAPI document, whose schemas are of draft 7."""
    payload = ASYNCAPI["components"]["messages"][name]["payload"]
    return Draft7Validator({**payload, "components": ASYNCAPI["components"]})


def references(node: Any) -> Iterator[str]:
    """Every reference in a document; nothing may stand beside one, AsyncAPI would ignore it."""
    if isinstance(node, dict):
        if "$ref" in node:
            assert list(node) == ["$ref"]
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from references(child)


def follow(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def variants(frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The frame without each of its fields, and with something odd in each, at any depth."""
    for field, value in frame.items():
        yield {name: frame[name] for name in frame if name != field}
        if isinstance(value, dict):
            yield from ({**frame, field: nested} for nested in variants(value))
        if not isinstance(value, list):  # a transcript is not read with its message
            yield from ({**frame, field: odd} for odd in ODD)


def is_read(direction: str, frame: dict[str, Any]) -> bool:
    """Whether the code makes a message of it."""
    read = read_request if direction == "Request" else read_response
    try:
        return not isinstance(read(json.dumps(frame)), UnknownRequest)
    except ProtocolError:
        return False


@every_format
def test_the_committed_file_is_what_the_code_generates(wanted: Format) -> None:
    committed = (FOLDER / FILES[wanted]).read_text(encoding="utf-8")
    assert committed == generate(wanted), REGENERATE


def test_both_files_are_written_in_one_go(tmp_path: Path) -> None:
    write_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"messages.schema.json", "asyncapi.json"}
    for wanted in Format:
        assert (tmp_path / FILES[wanted]).read_text(encoding="utf-8") == generate(wanted)


def test_the_json_schema_is_itself_valid() -> None:
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(SCHEMA)


@every_format
def test_every_reference_leads_to_an_object(wanted: Format) -> None:
    document = json.loads(generate(wanted))
    found = set(references(document))
    assert found
    assert all(isinstance(follow(document, reference), dict) for reference in found)


@pytest.mark.parametrize(("direction", "kinds"), DIRECTIONS.items())
def test_a_direction_holds_every_message(direction: str, kinds: tuple[type, ...]) -> None:
    names = [reference.rpartition("/")[2] for reference in references(SCHEMA["$defs"][direction])]
    assert names == [kind.__name__ for kind in kinds]


@every_frame
def test_a_frame_is_of_its_own_type_and_direction(direction: str, name: str, frame: str) -> None:
    [other] = {*DIRECTIONS} - {direction}
    message = json.loads(frame)
    for fitting in (Draft202012Validator(SCHEMA), schema_of(direction), schema_of(name)):
        fitting.validate(message)
    payload_of(name).validate(message)
    assert not schema_of(other).is_valid(message)


@every_frame
def test_the_schema_takes_what_the_code_reads(direction: str, name: str, frame: str) -> None:
    schema = schema_of(direction)
    for variant in variants(json.loads(frame)):
        is_mended = "call" in variant and is_read(direction, variant)  # without what is mistyped
        assert is_mended or schema.is_valid(variant) == is_read(direction, variant), variant


@pytest.mark.parametrize(("field", "value", "problem"), MISTYPED)
def test_a_mistyped_field_is_refused(field: str, value: Any, problem: str) -> None:
    frame = json.loads(GREETING) | {field: value}
    is_a_whole_float = type(value) is float and value.is_integer()  # an integer, in JSON Schema
    assert schema_of("ServerMessage").is_valid(frame) == is_a_whole_float
    assert payload_of("Response").is_valid(frame) == is_a_whole_float


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("transcript", "Hello"),
        ("transcript", [{"role": "user"}]),
        ("transcript", [{"role": "user", "content": "Hello", "words": [{"word": 1}]}]),
        ("transcript_with_tool_calls", None),
        ("transcript_with_tool_calls", [{"content": "Hello"}]),
        ("transcript_with_tool_calls", [{"role": "dtmf", "digit": 1}]),
    ],
)
def test_a_mistyped_transcript_is_refused(field: str, said: Any) -> None:
    frame = json.loads(REQUESTS[-1][0]) | {field: said}
    assert not schema_of("Request").is_valid(frame)
    assert not payload_of("ReminderRequired").is_valid(frame)


def test_a_frame_of_the_first_guide_is_a_response() -> None:
    frame = json.loads(GREETING)
    del frame["response_type"]
    schema_of("ServerMessage").validate(frame)
    payload_of("Response").validate(frame)


def test_a_frame_may_hold_the_defaults_that_are_documented() -> None:
    for name, one in SCHEMA["$defs"].items():
        fields = one.get("properties", {})
        for field in fields:
            if "default" in fields[field]:
                only = {**one, "required": [], "$defs": SCHEMA["$defs"]}
                assert Draft202012Validator(only).is_valid({field: fields[field]["default"]}), name
    assert SCHEMA["$defs"]["UpdateOnly"]["properties"]["transcript"]["default"] == []


def test_every_type_and_field_is_described_in_words() -> None:
    types = {name: SCHEMA["$defs"][name] for name in SCHEMA["$defs"]}
    fields = [field for one in types.values() for field in one.get("properties", {}).values()]
    for described in [*types.values(), *fields, *ASYNCAPI["components"]["messages"].values()]:
        text = described["description"]
        assert text.endswith(".")
        assert not any(markup in text for markup in ("\n", "  ", "``", "None", "Attributes:"))


def test_a_description_is_the_one_in_the_code() -> None:
    update = SCHEMA["$defs"]["UpdateOnly"]
    assert update["description"] == "The live transcript, for information."
    assert update["properties"]["turntaking"]["description"] == (
        "whose turn begins; null in mid-turn."
    )
    role = SCHEMA["$defs"]["Entry"]["properties"]["role"]["description"]
    assert role.startswith("what it is: `agent` and `user` spoke; `tool_call_invocation`, ")
    assert role.endswith(" Others must be survived.")
    ping = ASYNCAPI["components"]["messages"]["Ping"]
    assert ping["summary"] == "A heartbeat."
    assert ping["description"].startswith("Sent by: the platform, every 2 s once ")
    assert ping["description"].endswith(" Answer: `Pong` with the same timestamp, within 5 s.")


def test_the_socket_is_dialled_where_the_platform_dials() -> None:
    assert ASYNCAPI["info"]["version"] == __version__
    assert ASYNCAPI["servers"]["yours"]["protocol"] == "wss"
    [channel] = ASYNCAPI["channels"].values()
    assert channel["address"] == "/llm-websocket/{call_id}"
    assert list(channel["parameters"]) == ["call_id"]


@pytest.mark.parametrize(("action", "table"), [("receive", REQUESTS), ("send", RESPONSES)])
def test_an_operation_holds_the_messages_of_its_direction(action: str, table: Any) -> None:
    operation = ASYNCAPI["operations"][action]
    assert operation["action"] == action
    messages = [
        follow(ASYNCAPI, follow(ASYNCAPI, message["$ref"])["$ref"])
        for message in operation["messages"]
    ]
    sent = {(type(one).__struct_config__.tag, type(one).__name__) for _, one in table}
    assert {(one["name"], one["payload"]["$ref"].rpartition("/")[2]) for one in messages} == sent


def test_both_documents_hold_the_same_types() -> None:
    schemas = json.dumps(ASYNCAPI["components"]["schemas"]).replace("components/schemas", "$defs")
    types = {name: one for name, one in SCHEMA["$defs"].items() if name not in DIRECTIONS}
    assert json.loads(schemas) == types


@pytest.mark.slow
def test_the_official_parser_finds_nothing_in_the_asyncapi_document(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    assert npm, "this test needs Node.js 18 or newer, with npm"
    assert node
    install = [npm, "install", "--prefix", str(tmp_path), "--no-audit", "--no-fund"]
    subprocess.run([*install, "--ignore-scripts", PARSER], check=True, timeout=300)
    script = tmp_path / "validate.mjs"
    script.write_text(VALIDATE)

    def found(document: Any) -> set[str]:
        ran = subprocess.run(
            [node, str(script)],
            input=json.dumps(document),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
        )
        return set(json.loads(ran.stdout))

    assert found(ASYNCAPI) <= {"asyncapi-latest-version"}  # a newer AsyncAPI is no mistake of ours
    nowhere = {"$ref": "#/components/schemas/Nowhere"}
    ASYNCAPI["components"]["messages"]["Ping"]["payload"] = nowhere
    assert found(ASYNCAPI) >= {"invalid-ref"}
