"""Objects as they come: every spelling of "none", every quirk, every way to be broken."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Deleted,
    LastError,
    Message,
    MessageCreation,
    Page,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Thread,
    TruncationStrategy,
    Usage,
)
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    PluginCall,
    PluginTool,
    RagTool,
    ToolCall,
    UserAuth,
)
from aiodashassist.errors import DecodeError
from aiodashassist.providers.dashscope import codec
from tests.providers.dashscope.damage import FULL, damaged

# --- no value ---

TIMES = [
    "created_at", "expires_at", "expired_at", "started_at", "cancelled_at", "failed_at",
    "completed_at",
]  # fmt: skip
# class, its fields, and every way they were seen to say "none"
NONES: list[tuple[type[Any], list[str], list[Any]]] = [
    (Run, TIMES, [None, 0, -1, ""]),
    (RunStep, TIMES, [None, 0, -1, ""]),
    (Message, ["completed_at", "incomplete_at"], [None, 0]),
    (Assistant, sorted(codec.NUMBERS), [None, "None", ""]),
    (Run, sorted(codec.NUMBERS), [None, "None"]),
    (Assistant, ["name", "description", "instructions"], ["", None]),
    (Run, ["required_action", "last_error", "usage", "truncation_strategy"], [None, {}, ""]),
    (Run, ["stop", "tool_choice", "enable_search"], [None, ""]),
    (RunStep, ["usage", "last_error", "step_details"], [None, {}]),
    (RunStep, ["last_error"], [{"code": "", "message": ""}, {"code": None, "message": ""}]),
    (Message, ["assistant_id", "run_id", "name"], [None, ""]),
    (Message, ["incomplete_details", "plugin_call"], [None, {}]),
    (Message, ["status"], [None, "", {}]),
    (Page, ["first_id", "last_id"], [None, ""]),
    (Deleted, ["object"], [""]),
    (Thread, ["created_at"], ["0", "-1"]),  # numbers are taken as text, so these too
]
NOTHING = [
    (kind, field, none) for kind, fields, nones in NONES for field in fields for none in nones
]


@pytest.mark.parametrize(
    ("kind", "field", "none"), NOTHING, ids=[f"{k.__name__}.{f}={n!r}" for k, f, n in NOTHING]
)
def test_every_spelling_of_nothing_is_none(kind: type[Any], field: str, none: Any) -> None:
    """Null, `{}`, `""`, "None", 0 and -1 are None where the service says so (§3, §7.6)."""
    data = {field: none} if kind is Page else {"id": "x", field: none}

    assert getattr(codec.model(kind, data), field) is None


@pytest.mark.parametrize("none", [None, "", {}, []])
@pytest.mark.parametrize(
    ("kind", "field", "empty"),
    [
        (Assistant, "tools", ()),
        (Assistant, "file_ids", ()),
        (Assistant, "metadata", {}),
        (Thread, "metadata", {}),
        (Message, "content", ()),
        (Message, "tool_calls", ()),
        (Run, "metadata", {}),
        (Run, "status", ""),
    ],
)
def test_a_collection_is_never_none(kind: type[Any], field: str, empty: Any, none: Any) -> None:
    """An absent collection or metadata is an empty one."""
    assert getattr(codec.model(kind, {"id": "x", field: none}), field) == empty
    assert getattr(codec.model(kind, {"id": "x"}), field) == empty


def test_zero_is_a_value_elsewhere() -> None:
    """0 and -1 are "none" for times only; 0 tokens, top_k 0 and False are values."""
    run = codec.model(
        Run, {"id": "x", "top_k": 0, "temperature": 0, "usage": {"total_tokens": 0}, "stop": 0}
    )
    assert (run.top_k, run.temperature, run.stop) == (0, 0.0, 0)
    assert run.usage == Usage(total_tokens=0)
    assert codec.model(Deleted, {"id": "x", "deleted": False}).deleted is False


def test_the_text_none_is_a_value_elsewhere() -> None:
    """A "None" that is no number stays: as a name it is a name."""
    assert codec.model(Assistant, {"id": "x", "name": "None"}).name == "None"


# --- objects ---


def test_numbers_as_text_are_numbers() -> None:
    """A number that comes as text is taken."""
    assistant = codec.model(Assistant, {"id": "x", "temperature": "0.7", "created_at": "17"})

    assert (assistant.temperature, assistant.created_at) == (0.7, 17)


def test_unknown_fields_are_kept_apart() -> None:
    """What the wire adds breaks nothing and can be read in `extra`."""
    data = {"id": "x", "new": [1], "extra": {"a": 1}, "account_id": "sk-1", "gmt_crete": "2024"}
    thread = codec.model(Thread, data)

    assert thread.extra == {"new": [1], "extra": {"a": 1}}
    assert (thread.account_id, thread.gmt_crete) == ("sk-1", "2024")


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Assistant, "response_format", {"type": "json_object"}),
        (Run, "log_id", 5),
        (File, "censored", "no"),
        (File, "file_type", 5),
    ],
)
def test_a_field_of_another_api_breaks_nothing(kind: type[Any], field: str, value: Any) -> None:
    """A field that DashScope does not document may come in any shape."""
    assert codec.model(kind, {"id": "x", field: value}).id == "x"


def test_odd_spellings_have_their_names() -> None:
    """`create_at` of one table and `from` of some editions (§7.2, §3.4)."""
    assert codec.model(Assistant, {"id": "x", "create_at": 17}).created_at == 17
    message = codec.model(Message, {"id": "x", "from": "someone"})
    assert (message.from_, message.extra) == ("someone", {})


def test_an_object_inside_another_drops_what_is_unknown() -> None:
    """Only the objects with an id have an `extra`."""
    run = codec.model(Run, {"id": "r", "usage": {"total_tokens": 1, "new": 2}})

    assert run.usage == Usage(total_tokens=1)
    assert run.extra == {}


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        (
            {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            Usage(input_tokens=1, output_tokens=2, total_tokens=3),
        ),
        (
            {"prompt_tokens": 1, "completion_tokens": 2},
            Usage(input_tokens=1, output_tokens=2, prompt_tokens=1, completion_tokens=2),
        ),
        (
            {"input_tokens": 4, "prompt_tokens": 1, "output_tokens": None, "completion_tokens": 2},
            Usage(input_tokens=4, output_tokens=2, prompt_tokens=1, completion_tokens=2),
        ),
    ],
)
def test_tokens_have_either_name(wire: Any, usage: Usage) -> None:
    """input/output or prompt/completion fill the same fields (§7.10)."""
    assert codec.model(Run, {"id": "x", "usage": wire}).usage == usage


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        ({"code": "c", "message": "m"}, LastError(code="c", message="m")),
        ({"code": "c", "message": ""}, LastError(code="c")),
        ("it broke", LastError(message="it broke")),
    ],
)
def test_a_last_error_is_an_object_or_a_text(wire: Any, error: LastError) -> None:
    """One table calls it a string (§7.16)."""
    assert codec.model(Run, {"id": "x", "last_error": wire}).last_error == error


@pytest.mark.parametrize(
    ("wire", "calls"),
    [
        ({"type": "submit_tool_outputs", "submit_tool_outputs": None}, ()),
        ({"type": None, "submit_tool_outputs": {"tool_calls": None}}, ()),
        (
            {"submit_tool_outputs": {"tool_calls": [{"id": "c", "function": {"name": "f"}}]}},
            (ToolCall(id="c", function=FunctionCall(name="f")),),
        ),
    ],
)
def test_a_required_action_may_have_nulls(wire: Any, calls: tuple[ToolCall, ...]) -> None:
    """What is missing in a required action is its default."""
    run = codec.model(Run, {"id": "x", "required_action": wire})

    assert run.required_action == RequiredAction(
        submit_tool_outputs=SubmitToolOutputs(tool_calls=calls)
    )


@pytest.mark.parametrize(
    ("wire", "details"),
    [
        (
            {"type": "message_creation", "message_creation": {"message_id": "m", "new": 1}},
            StepDetails(type="message_creation", message_creation=MessageCreation(message_id="m")),
        ),
        (
            {"type": "message_creation", "message_creation": {"message_id": None}},
            StepDetails(type="message_creation", message_creation=MessageCreation()),
        ),
        (
            {"type": "tool_calls", "tool_calls": None, "message_creation": None},
            StepDetails(type="tool_calls"),
        ),
    ],
)
def test_details_of_a_step_may_have_nulls(wire: Any, details: StepDetails) -> None:
    """What is missing in a step's details is its default."""
    assert codec.model(RunStep, {"id": "x", "step_details": wire}).step_details == details


@pytest.mark.parametrize(
    ("wire", "strategy"),
    [
        ({"type": "last_messages", "last_messages": 3}, TruncationStrategy(last_messages=3)),
        ({"type": "last_messages"}, TruncationStrategy()),
        (
            {"type": "auto", "last_messages": None},
            TruncationStrategy(type="auto", last_messages=None),
        ),
    ],
)
def test_a_truncation_strategy_is_what_the_wire_says(
    wire: Any, strategy: TruncationStrategy
) -> None:
    """A strategy has its type and its number; null is none, not the default."""
    assert (
        codec.model(Run, {"id": "x", "truncation_strategy": wire}).truncation_strategy == strategy
    )


@pytest.mark.parametrize(
    ("wire", "call"),
    [
        (
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": None}},
            ToolCall(id="c", function=FunctionCall(name="f")),
        ),
        ({"type": "p", "p": {"input": "i"}}, ToolCall(type="p", plugin=PluginCall(arguments="i"))),
        (
            {"type": "p", "plugin_name": {"output": "o"}},
            ToolCall(type="p", plugin=PluginCall(output="o")),
        ),
        ({"p": {"output": "o"}}, ToolCall(type="p", plugin=PluginCall(output="o"))),
        ({}, ToolCall(function=FunctionCall())),
    ],
)
def test_a_call_is_of_a_function_or_a_plugin(wire: Any, call: ToolCall) -> None:
    """A plugin's call is under its own name, another, or no type at all (§3.6, §7.11)."""
    assert codec.read_calls([wire]) == (call,)
    details = {"type": "tool_calls", "tool_calls": [wire]}
    step = codec.model(RunStep, {"id": "x", "step_details": details})
    assert step.step_details == StepDetails(type="tool_calls", tool_calls=(call,))


FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "default": None}}


@pytest.mark.parametrize(
    ("wire", "tool"),
    [
        (
            {"type": "function", "function": {**FUNCTION, "responses": None}},
            FunctionTool(function=FunctionDefinition(**FUNCTION)),  # type: ignore[arg-type]
        ),
        ({"type": "quark_search"}, PluginTool("quark_search")),
        (
            {"type": "p", "description": None, "auth": {"type": "user_http", "user_token": "t"}},
            PluginTool("p", auth=UserAuth(user_token="t")),
        ),
        ({"type": "rag", "prompt_ra": {"n": [1]}}, RagTool(prompt_ra={"n": [1]})),
        ({"type": "p", "limit": 1}, {"type": "p", "limit": 1}),
        ({"type": "p", "auth": "token"}, {"type": "p", "auth": "token"}),
        ({"type": "function"}, {"type": "function"}),
        ({"type": "rag"}, {"type": "rag"}),
        ({"type": ["function"]}, {"type": ["function"]}),
        ({"description": "no type"}, {"description": "no type"}),
        ({}, {}),
    ],
)
def test_a_declared_tool_is_read_or_kept(wire: Any, tool: Any) -> None:
    """A tool of a known shape is typed; of another it stays the dict it was (§3.9)."""
    assert codec.read_tools([wire]) == (tool,)
    assert codec.model(Assistant, {"id": "x", "tools": [wire]}).tools == (tool,)


def test_an_attached_file_is_read() -> None:
    """A file of an assistant has what old objects have, one of a message its message (§3.2)."""
    data = {
        "id": "f", "object": "assistant.file", "created_at": 5, "assistant_id": "a",
        "account_id": "sk", "gmt_crete": "c", "gmt_update": "u", "is_deleted": False, "new": 1,
    }  # fmt: skip
    assert codec.model(AssistantFile, data) == AssistantFile(
        id="f", created_at=5, assistant_id="a", account_id="sk", gmt_crete="c", gmt_update="u",
        is_deleted=False, extra={"new": 1},
    )  # fmt: skip
    assert codec.model(MessageFile, {"id": "f", "created_at": 0, "message_id": ""}) == (
        MessageFile(id="f")
    )


def test_a_page_has_its_items() -> None:
    """A list envelope: items in order, cursors, and the request (§3.7)."""
    body = {
        "object": "list", "data": [{"id": "a"}, {"id": "b"}], "first_id": "a", "last_id": "b",
        "has_more": True, "request_id": "r", "total": 9, "sum": 5,
    }  # fmt: skip
    assert codec.page(Thread, body) == Page(
        data=(Thread(id="a"), Thread(id="b")),
        has_more=True,
        first_id="a",
        last_id="b",
        request_id="r",
        total=9,
        extra={"sum": 5},
    )


@pytest.mark.parametrize("data", [None, [], ""])
def test_a_page_may_be_empty(data: Any) -> None:
    """An empty list has no cursors and no more."""
    body = {"object": "list", "data": data, "first_id": None, "last_id": "", "has_more": None}

    assert codec.page(Run, body) == Page()


# --- what cannot be read ---


def test_what_cannot_be_read_says_where() -> None:
    """What is no object, and what is no list envelope, is a DecodeError, here as on any wire."""
    with pytest.raises(DecodeError, match="expected an object for Thread"):
        codec.model(Thread, [])
    with pytest.raises(DecodeError, match="expected a list envelope"):
        codec.page(Run, {"object": "list"})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Run, "id", 5),
        (Run, "created_at", "soon"),
        (Run, "tools", "search"),
        (Run, "tools", [5]),
        (Run, "usage", [1]),
        (RunStep, "step_details", {"tool_calls": [{"id": 5}]}),
        (RunStep, "step_details", {"tool_calls": [{"type": ["function"]}]}),
        (Message, "content", "hi"),
        (Message, "content", [{"text": {"value": 5}}]),
    ],
)
def test_a_broken_field_is_a_decode_error(kind: type[Any], field: str, value: Any) -> None:
    """A field of an impossible type, or with one deep inside, ends in a DecodeError."""
    with pytest.raises(DecodeError):
        codec.model(kind, {"id": "x", field: value})


@given(st.sampled_from(FULL), st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_object_is_read_or_a_decode_error(
    full: tuple[type[Any], Any], data: st.DataObject
) -> None:
    """Any JSON in any field of any object: the object, or a DecodeError."""
    kind, whole = full
    try:
        read = codec.model(kind, damaged(data, whole))
    except DecodeError:
        return
    assert isinstance(read, kind)


@given(st.sampled_from(FULL), st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_page_is_read_or_a_decode_error(
    full: tuple[type[Any], Any], data: st.DataObject
) -> None:
    """Any JSON anywhere in a list envelope: a page, or a DecodeError."""
    kind, item = full
    envelope = {"object": "list", "data": [item], "first_id": "a", "has_more": False}
    try:
        page = codec.page(kind, damaged(data, envelope))
    except DecodeError:
        return
    assert all(isinstance(item, kind) for item in page.data)


def test_a_token_is_out_of_sight_in_a_tool_of_unknown_shape() -> None:
    """A plugin that has more than is known stays a dict; its token is in no repr."""
    wire = {"type": "plug", "auth": {"type": "user_http", "user_token": "T-123"}, "more": 1}
    (tool,) = codec.read_tools([wire])

    assert isinstance(tool, dict)
    assert tool["more"] == 1
    assert tool["auth"].user_token == "T-123"
    assert "T-123" not in repr(codec.model(Assistant, {"id": "a", "tools": [wire]}))
    assert codec.read_tools([{"type": "plug", "auth": {"odd": 1}, "more": 1}]) == (
        {"type": "plug", "auth": {"odd": 1}, "more": 1},
    )
