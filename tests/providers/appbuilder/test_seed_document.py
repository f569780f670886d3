"""The vendor's document "Assistant SDK API说明": what is sent for its methods and parameters.

Then what a default means, where the limits are, and the public classes.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from aiodashassist import (
    AppBuilder,
    CallInfo,
    FunctionDefinition,
    FunctionTool,
    InvalidArgument,
    ModelParameters,
    SamplingParameters,
    UnsupportedParameter,
    UserInfo,
    UserLoc,
)
from aiodashassist.core import operations as ops
from aiodashassist.core.models import (
    Content,
    FinalAnswer,
    FinalMessage,
    Text,
)
from aiodashassist.core.provider import Refusal
from aiodashassist.providers.appbuilder import routes
from aiodashassist.providers.appbuilder.serve import AppBuilderService
from tests.providers.appbuilder.seed_document import (
    ANSWERS,
    ASSISTANTS,
    CONTENT,
    DECLARED,
    FUNCTION,
    LOCATION,
    MESSAGE,
    METHODS,
    NEEDED,
    NO_TEXTS,
    READ_CONTENT,
    RETRIEVED,
    SAMPLING,
    TOOL,
    USER,
    decoded,
    make,
    of_one,
    operation_of,
    sent,
    understood,
)

ROWS = [(name, part) for name, row in METHODS.items() for part in row.parameters]
every_method = pytest.mark.parametrize("name", METHODS)
every_parameter = pytest.mark.parametrize(
    ("name", "part"), ROWS, ids=[f"{name}({part})" for name, part in ROWS]
)


@every_method
async def test_a_method_sends_what_the_document_says(name: str) -> None:
    """With all its parameters: their places and names, one POST, nothing in path or query."""
    row = METHODS[name]
    assert await sent(row, row.given) == row.body

    request = routes.encode(operation_of(row, row.given))
    assert (request.method, request.path, request.query) == ("POST", row.path, {})
    assert json.loads(request.body or b"") == row.body


@every_method
async def test_a_method_can_do_without_the_rest(name: str) -> None:
    """Given what it needs, it sends no more; an empty list of messages is the SDK's (§2)."""
    row = METHODS[name]
    needed = [row.parameters[part] for part in NEEDED.get(name, ())]
    given = {**row.needed, **{key: value for part in needed for key, value in part.ours.items()}}
    body = {**row.always, **{key: value for part in needed for key, value in part.wire.items()}}

    assert await sent(row, given) == body


@every_parameter
async def test_a_parameter_has_its_name_on_the_wire(name: str, part: str) -> None:
    """It is sent as the document has it, and nothing else with it: no default is (§3.8, #9)."""
    given, body = of_one(name, part)

    assert await sent(METHODS[name], given) == body


@every_method
def test_the_local_server_understands_a_method(name: str) -> None:
    """The body with all its parameters is read as the call that has them all."""
    row = METHODS[name]
    body = json.dumps(row.body).encode()
    expected = operation_of(row, row.given)
    if row.kind is ops.ListFiles:  # has no pages (§2.2)
        expected = ops.ListFiles(page={"page_size": 2**31 - 1})

    assert AppBuilderService().parse("POST", row.path.removeprefix("/v2"), {}, body) == expected


@every_parameter
def test_the_local_server_understands_a_parameter(name: str, part: str) -> None:
    """It is read under our name, with the value that it had."""
    row = METHODS[name]
    known = understood(row.path, of_one(name, part)[1])

    assert known | row.parameters[part].ours == known
    assert known.keys() >= row.parameters[part].ours.keys()


# --- defaults: what the SDK sends for what it was not given, and what that means ---

NONE: Any = object()  # not given
NO_LISTS: dict[str, Any] = {
    "response_format": ("text", "text"), "tools": ([], NONE), "file_ids": ([], NONE),
    "metadata": ({}, NONE),
}  # fmt: skip
FIRST_PAGE: dict[str, Any] = {
    "limit": (20, 20),
    "order": ("desc", "desc"),
    "after": ("", NONE),
    "before": ("", NONE),
}
OF_A_RUN: dict[str, Any] = {
    # Both win over the assistant's, and were null in later SDKs for that reason (§7 #8, #9).
    "model": ("ERNIE-4.0-8K", "ERNIE-4.0-8K"), **NO_TEXTS,
    "response_format": ("text", "text"), "tools": ([], NONE), "metadata": ({}, NONE),
    "tool_output": (None, NONE), "model_parameters": (None, NONE), "user_info": (None, NONE),
    "user_loc": (None, NONE),
}  # fmt: skip
DEFAULTS: dict[str, dict[str, tuple[Any, Any]]] = {
    "assistants.create": {
        "model": ("ERNIE-4.0-8K", "ERNIE-4.0-8K"), "description": ("", NONE), **NO_TEXTS,
        **NO_LISTS,
    },
    # An update takes away what it does not give, but for the metadata (§3.1).
    "assistants.update": {
        "description": ("", ""), **NO_TEXTS, **NO_LISTS, "tools": ([], ()), "file_ids": ([], []),
    },
    "assistants.list": FIRST_PAGE,
    "assistants.mounted_files_list": FIRST_PAGE,
    "threads.create": {"messages": ([], NONE)},
    "threads.update": {"metadata": ({}, NONE)},
    "messages.create": {"role": ("user", "user"), "file_ids": ([], NONE)},
    # The class says -20, the method 20, which is what is sent (§7 #1).
    "messages.list": FIRST_PAGE,
    "messages.update": {"file_ids": ([], [])},
    "messages.files": FIRST_PAGE,
    "runs.run": {**OF_A_RUN, "thread": (None, NONE)},
    "runs.run, new thread": {**OF_A_RUN, "thread_id": ("", NONE)},
    "runs.stream_run": {**OF_A_RUN, "thread": (None, NONE)},
    "runs.stream_run, new thread": {**OF_A_RUN, "thread_id": ("", NONE)},
}  # fmt: skip
OURS = {"limit": "page_size", "thread": "additional_messages"}
DEFAULT_ROWS = [(name, part) for name, row in DEFAULTS.items() for part in row]


@pytest.mark.parametrize(
    ("name", "part"), DEFAULT_ROWS, ids=[f"{name}({part})" for name, part in DEFAULT_ROWS]
)
def test_a_default_is_understood_as_it_is_meant(name: str, part: str) -> None:
    """Null and what is empty say "not given", but where it was seen to mean something (§2)."""
    row = METHODS[name]
    wire, meant = DEFAULTS[name][part]
    needed = {"model": "m", "name": "n"} if name in NEEDED else {}
    known = understood(row.path, {**row.always, **needed, part: wire})
    ours = "override_tools" if part == "tools" and "runs" in name else OURS.get(part, part)

    assert known.get(ours, NONE) == meant


def test_an_update_is_whole() -> None:
    """What it does not give at all is taken away as by the SDK's defaults; three things stay."""
    known = understood(ASSISTANTS + "/update", {"assistant_id": "a"})
    texts = dict.fromkeys(("description", *NO_TEXTS), "")

    assert known == {
        "assistant_id": "a", **texts, "response_format": "text", "tools": (), "file_ids": [],
    }  # fmt: skip


# --- limits: of each the last good value and the first bad one ---


def _at(path: str, value: Any) -> Any:
    """A value inside objects, by their names."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


Limit = Mapping[str, tuple[Any, Any]]
"""What the error names, and which limit -> good value, bad value."""

TEXTS: dict[str, Limit] = {
    "name": {
        "name: 128": ("助" * 128, "a" * 129),
        "name: characters": ("中文_-09aZ", "a b"),
        "name: no dots": ("n", "n.n"),
    },
    "description": {"description: 512": ("x" * 512, "x" * 513)},
    **{name: {f"{name}: 4096": ("字" * 4096, "x" * 4097)} for name in NO_TEXTS},
}
FORMATS: dict[str, Limit] = {
    # A docstring says "json", which is wrong (§4).
    "response_format": {
        "response_format: text": ("text", "TEXT"),
        "response_format: json_object": ("json_object", "json"),
    }
}
TOOLS: dict[str, Limit] = {"tools": {"tools: 10": ([TOOL] * 10, [TOOL] * 11)}}
FILES: dict[str, Limit] = {"file_ids": {"file_ids: 10": (["f"] * 10, ["f"] * 11)}}
PAIRS: dict[str, Limit] = {
    "metadata": {
        "metadata: 16": ({str(n): "v" for n in range(16)}, {str(n): "v" for n in range(17)}),
        "metadata: keys of 64": ({"k" * 64: "v"}, {"k" * 65: "v"}),
        "metadata: values of 512": ({"k": "v" * 512}, {"k": "v" * 513}),
        "metadata: object": ({"k": "v"}, "k=v"),
    }
}
LEAST: Limit = {"page_size: 1": (1, 0), "page_size: -20": (20, -20)}
MOST: Limit = {"page_size: 20": (20, 21)}
ORDERS: dict[str, Limit] = {
    "order": {"order: asc": ("asc", "ascending"), "order: desc": ("desc", "DESC")}
}
NUMBERS: dict[str, tuple[Any, Any]] = {
    "temperature: 1": (1, 1.01),
    "temperature: above 0": (0.01, 0),  # whatever the SDK lets pass (§7 #13)
    "top_p: 0": (0, -0.01),
    "top_p: 1": (1, 1.01),
    "penalty_score: 1": (1, 0.99),
    "penalty_score: 2": (2, 2.01),
}
MODEL: dict[str, Limit] = {
    "model_parameters": {
        f"{part}.{name}": (_at(f"{part}.{name.split(':')[0]}", good),
                           _at(f"{part}.{name.split(':')[0]}", bad))
        for part in SAMPLING
        for name, (good, bad) in NUMBERS.items()
    }
}  # fmt: skip
MESSAGES: dict[str, Limit] = {
    "messages": {
        "messages: list": ([MESSAGE], "x"),
        "file_ids: 10": (
            [{**MESSAGE, "file_ids": ["f"] * 10}], [{**MESSAGE, "file_ids": ["f"] * 11}],
        ),
    }
}  # fmt: skip
LIMITS: dict[str, dict[str, Limit]] = {
    "assistants.create": {**TEXTS, **FORMATS, **TOOLS, **FILES, **PAIRS},
    "assistants.update": {**TEXTS, **FORMATS, **TOOLS, **FILES, **PAIRS},
    "assistants.list": {"limit": LEAST, **ORDERS},
    "assistants.mounted_files_list": {"limit": LEAST, **ORDERS},
    "threads.create": MESSAGES,
    "threads.update": PAIRS,
    "messages.create": FILES,
    "messages.list": {"limit": {**LEAST, **MOST}, **ORDERS},
    "messages.files": {"limit": LEAST, **ORDERS},
    "runs.run": {
        **{name: TEXTS[name] for name in NO_TEXTS}, **FORMATS, **PAIRS, **MODEL,
    },
}  # fmt: skip
LIMIT_ROWS = {
    f"{name}({part}) {limit}": (name, part, limit.split(":")[0], *values)
    for name, row in LIMITS.items()
    for part, limits in row.items()
    for limit, values in limits.items()
}
every_limit = pytest.mark.parametrize(
    ("name", "part", "named", "good", "bad"), LIMIT_ROWS.values(), ids=LIMIT_ROWS
)


@every_limit
def test_a_value_beyond_its_limit_is_not_sent(
    name: str, part: str, named: str, good: Any, bad: Any
) -> None:
    """The client names the parameter; the value at the limit is sent."""
    given, _ = of_one(name, part)
    row = METHODS[name]
    (ours,) = row.parameters[part].ours
    request = routes.encode(operation_of(row, {**given, ours: good}))
    assert json.loads(request.body or b"")[part] == good

    with pytest.raises(InvalidArgument, match=rf"\b{named}\b"):
        routes.encode(operation_of(row, {**given, ours: bad}))


@every_limit
def test_the_local_server_refuses_what_is_beyond_a_limit(
    name: str, part: str, named: str, good: Any, bad: Any
) -> None:
    """It takes the value at the limit."""
    del named
    _, body = of_one(name, part)
    path = METHODS[name].path
    known = understood(path, {**body, part: good})
    assert known.keys() >= METHODS[name].parameters[part].ours.keys()

    with pytest.raises(Refusal):
        understood(path, {**body, part: bad})


IDS = [
    (name, part)
    for name, row in METHODS.items()
    for part in row.needed
    if part.endswith("_id") and row.needed[part] is not None
]


@pytest.mark.parametrize("bad", ["", None, 7], ids=["empty", "None", "number"])
@pytest.mark.parametrize(("name", "part"), IDS, ids=[f"{name}({part})" for name, part in IDS])
async def test_an_id_is_a_text(name: str, part: str, bad: Any) -> None:
    """The document's TypeError and ValueError are one error here; nothing is sent."""
    row = METHODS[name]
    asked: list[CallInfo] = []
    async with AppBuilder("k", "http://127.0.0.1:1", on_request=asked.append) as client:
        with pytest.raises(InvalidArgument, match=part) as caught:
            await make(client, row, {**row.needed, part: bad})

    assert isinstance(caught.value, ValueError)
    assert asked == []


# --- the public classes ---

STRUCTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AssistantTool": ({"override_tools": [DECLARED]}, {"tools": [TOOL]}),
    "AssistantModelParameters": (
        {
            "model_parameters": ModelParameters(
                **{part: SamplingParameters(**given) for part, given in SAMPLING.items()}
            )
        },
        {"model_parameters": SAMPLING},
    ),
    **{
        f"{kind}.{name}": (
            {"model_parameters": ModelParameters(**{part: SamplingParameters(**{name: value})})},
            {"model_parameters": {part: {name: value}}},
        )
        for kind, part in (
            ("AssistantChatParameters", "chat_parameters"),
            ("AssistantThoughtParameters", "thought_parameters"),
        )
        for name, value in SAMPLING[part].items()
    },
    **{
        f"AssistantUserInfo.{name}": ({"user_info": UserInfo(**{name: value})},
                                      {"user_info": {name: value}})
        for name, value in USER.items()
    },
    **{
        f"AssistantUserLoc.{name}": ({"user_loc": UserLoc(**{name: value})},
                                     {"user_loc": {name: value}})
        for name, value in LOCATION.items()
    },
    # By names of their own, for code that runs on either service: they are the chat's.
    "temperature": (
        {"temperature": 0.8}, {"model_parameters": {"chat_parameters": {"temperature": 0.8}}},
    ),
    "top_p": ({"top_p": 0}, {"model_parameters": {"chat_parameters": {"top_p": 0}}}),
}  # fmt: skip


@pytest.mark.parametrize(("ours", "wire"), STRUCTS.values(), ids=STRUCTS)
async def test_a_class_of_the_document_is_sent_whole(
    ours: dict[str, Any], wire: dict[str, Any]
) -> None:
    """Each of its fields has its name; what is None is not sent, and no default is."""
    row = METHODS["runs.run"]

    assert await sent(row, {**row.needed, **ours}) == {**row.always, **wire}
    (part,) = wire
    (known,) = {"override_tools", part} & understood(row.path, {**row.always, **wire}).keys()
    read = understood(row.path, {**row.always, **wire})[known]
    assert json.loads(msgspec.json.encode(read)) == wire[part]


@pytest.mark.parametrize("name", ["model_parameters", "user_info", "user_loc"])
@pytest.mark.parametrize("half", [{}, {"x": 1}], ids=["empty", "strange"])
async def test_a_class_has_no_other_fields(name: str, half: dict[str, Any]) -> None:
    """An empty object is one; a field that the document does not know is refused by name."""
    row = METHODS["runs.run"]
    call = operation_of(row, {**row.needed, name: half})
    if half:
        with pytest.raises(InvalidArgument, match=f"{name} has no 'x'"):
            routes.encode(call)
        return

    assert json.loads(routes.encode(call).body or b"") == {**row.always, name: {}}


TOOL_FIELDS = ["name", "description", "parameters", "responses", "examples"]


@pytest.mark.parametrize("field", TOOL_FIELDS)
def test_a_field_of_a_function_is_sent_and_read(field: str) -> None:
    """AssistantFunction, of which the document says no more than its name (§3.2)."""
    row = ANSWERS["AssistantCreateResponse"]
    function = {"name": "f", field: FUNCTION[field]}
    body = {**row.body, "tools": [{"type": "function", "function": function}]}
    (tool,) = decoded(row.operation, body).tools
    assert tool == FunctionTool(function=FunctionDefinition(**function))
    assert getattr(tool.function, field) == FUNCTION[field]

    given = {"model": "m", "name": "n", "tools": [tool]}
    request = routes.encode(ops.CreateAssistant(params=given))  # type: ignore[arg-type]
    assert json.loads(request.body or b"")["tools"] == body["tools"]


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ([CONTENT], (READ_CONTENT,)),
        (CONTENT, (READ_CONTENT,)),  # one object, as answers were until October 2024 (§7 #14)
        ([{}], (Content(),)),
        ([{"text": None}], (Content(),)),
        ([{"type": "text", "text": {"value": "x", "annotations": None}}],
         (Content(text=Text(value="x")),)),
        ([{"text": {}}], (Content(),)),
        (None, ()),
    ],
    ids=["whole", "object", "defaults", "null", "no annotations", "empty", "none"],
)  # fmt: skip
def test_a_content_is_read(content: Any, read: Any) -> None:
    """AssistantContent and AssistantText, with their defaults; in a final answer, too."""
    row = ANSWERS["AssistantMessageQueryResponse"]
    assert decoded(row.operation, {**row.body, "content": content}).content == read

    answer = {"type": "message", "message": {"message_id": "m", "content": content}}
    run = decoded(RETRIEVED, {**ANSWERS["RunResult, run"].body, "final_answer": answer})
    assert run.final_answer == FinalAnswer(message=FinalMessage(message_id="m", content=read))


@pytest.mark.parametrize("name", [n for n, row in METHODS.items() if n != "files.download"])
def test_a_method_has_no_other_parameters(name: str) -> None:
    """Like the SDK's classes, which forbid them; what is not named goes by `extra_body`."""
    row = METHODS[name]
    place = "page" if "page" in row.kind.__struct_fields__ else "params"
    if place not in row.kind.__struct_fields__:
        place = "extras"
    rest = operation_of(row, row.given)
    more = {**getattr(rest, place), "seed": 1}
    with pytest.raises(UnsupportedParameter, match="seed"):
        routes.encode(msgspec.structs.replace(rest, **{place: more}))

    reached = {**getattr(rest, place), "extra_body": {"seed": 1}}
    request = routes.encode(msgspec.structs.replace(rest, **{place: reached}))
    assert json.loads(request.body or b"") == {**row.body, "seed": 1}
