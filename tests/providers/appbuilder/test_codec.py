"""AppBuilder's objects as they come: observed ones, every field, every quirk of one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodashassist.core.files import AssistantFile, File, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    FinalMessage,
    LastError,
    Message,
    MessageCreation,
    Model,
    Page,
    Run,
    RunStep,
    StepDetails,
    Text,
    Thread,
)
from aiodashassist.core.tooling import FunctionCall, FunctionDefinition, FunctionTool, ToolCall
from aiodashassist.errors import DecodeError
from aiodashassist.providers.appbuilder import codec
from tests.providers.appbuilder.damage import (
    ASSISTANT,
    CALL,
    DELETED,
    FILE,
    FUNCTION,
    INFO,
    MESSAGE,
    OF_ASSISTANT,
    OF_MESSAGE,
    RUN,
    STEP,
    THREAD,
)
from tests.providers.dashscope.damage import JSON, damaged
from tests.transcripts.appbuilder import APPBUILDER

HI = (Content(text=Text(value="hi")),)
MADE = ToolCall(id="c", function=FunctionCall(name="f", arguments="{}", output="o"))


def observed(name: str) -> Any:
    """The JSON of a transcript."""
    return msgspec.json.decode((APPBUILDER / f"{name}.json").read_bytes())


# --- observed ---


def test_a_run_that_waits_reads_as_observed() -> None:
    """The answer to a run without a stream: what it waits for, and no more (§3.9, §11.2)."""
    run = codec.model(Run, observed("run_waiting"))

    (call,) = run.tool_calls
    assert (run.object, run.status) == ("run.result", "requires_action")
    assert run.log_id == "caa7f0d2-51b6-4b3e-8a1c-0d9e2f7c6b45"
    assert (run.created_at, run.started_at, run.completed_at) == (
        1713123301360, 1713123301391, None,
    )  # fmt: skip
    assert (call.name, call.arguments, call.output) == (
        "get_cur_whether", '{"location":"北京","unit":"摄氏度"}', None,
    )  # fmt: skip
    assert (run.final_answer, run.last_error, run.extra) == (None, None, {})


@pytest.mark.parametrize("name", ["run_answered", "run_answered_list"])
def test_a_run_that_was_answered_reads_as_observed(name: str) -> None:
    """The final answer's content was one object, then a list (§3.9, §7 #14)."""
    run = codec.model(Run, observed(name))

    assert run.status == "completed"
    assert run.final_answer is not None
    assert run.final_answer.text == "今天北京的气温是30摄氏度。"
    assert run.final_answer.message.message_id == "chatmsg_2f965d0c7b1e4a38954fd6c0a2e7b381"
    assert run.required_action is None
    assert run.tool_calls == ()


def test_a_run_that_is_read_reads_as_observed() -> None:
    """Model and instructions in clear, no final answer, null for no files (§3.9)."""
    run = codec.model(Run, observed("run_queried"))

    assert (run.object, run.model) == ("thread.run", "qf-assistant-api3-latest")
    assert (run.instructions, run.tools, run.file_ids) == ("你是一个乐于助人的助手", (), ())
    assert (run.started_at, run.completed_at) == (None, 1713122942400)


def test_listed_steps_read_as_observed() -> None:
    """An empty text is no error, a null is no type (§3.10)."""
    page = codec.page(RunStep, observed("steps_listed"))

    (step,) = page.data
    assert (step.id, step.status, step.last_error, step.type) == ("step-1", "completed", None, None)
    assert (step.step_details, step.extra) == (None, {})
    assert (page.first_id, page.last_id, page.has_more) == ("step-1", "step-1", False)


# --- every field ---

WHOLE: dict[str, tuple[type[Model], Any, Model]] = {
    "assistant": (
        Assistant, ASSISTANT,
        Assistant(
            id="a", name="n", description="d", model="m", instructions="i",
            thought_instructions="t", chat_instructions="c", created_at=5, response_format="text",
            file_ids=("f",), metadata={"k": "v"},
            tools=(
                FunctionTool(
                    function=FunctionDefinition(
                        name="f", description="d", parameters={"type": "object"},
                        examples=FUNCTION["function"]["examples"],  # type: ignore[index]
                    )
                ),
            ),
        ),
    ),
    "thread": (Thread, THREAD, Thread(id="t", created_at=5, metadata={"k": "v"})),
    "message": (
        Message, MESSAGE,
        Message(id="m", role="user", content=HI, created_at=5, thread_id="t", file_ids=("f",)),
    ),
    "step": (
        RunStep, STEP,
        RunStep(
            id="s", assistant_id="a", thread_id="t", run_id="r", status="in_progress",
            type="tool_calls", created_at=1713122932350, started_at=1, completed_at=2,
            step_details=StepDetails(
                type="tool_calls", message_creation=MessageCreation(message_id="m"),
                action_info={"toolName": "t", "actionName": "n", "actionContent": "c"},
                tool_calls=(MADE,), tool_info=(INFO,),
            ),
        ),
    ),
    "file": (
        File, FILE,
        File(
            id="f", bytes=1, purpose="assistant", created_at=1713122932000, filename="n.txt",
            classification_id="x", censored=1, file_type="document",
        ),
    ),
    "file of an assistant": (
        AssistantFile, OF_ASSISTANT, AssistantFile(id="f", created_at=5, assistant_id="a"),
    ),
    "file of a message": (
        MessageFile, OF_MESSAGE, MessageFile(id="f", created_at=5, message_id="m"),
    ),
    "deletion": (Deleted, DELETED, Deleted(id="t", object="thread.deleted", deleted=True)),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_every_field_is_read(name: str) -> None:
    """No field of §3 is lost, and none is left over."""
    kind, wire, expected = WHOLE[name]

    assert codec.model(kind, wire) == expected


def test_every_field_of_a_run_is_read() -> None:
    """The union of its three flavours (§3.9)."""
    run = codec.model(Run, RUN)

    answer = FinalAnswer(message=FinalMessage(message_id="m", content=HI))
    assert run.required_action is not None
    assert run.required_action.submit_tool_outputs.tool_calls == (MADE,)
    assert (run.last_error, run.final_answer) == (
        LastError(type="server_error", message="no"), answer,
    )  # fmt: skip
    assert (run.thought_instructions, run.chat_instructions, run.log_id) == ("t", "c", "l")
    assert (run.created_at, run.started_at, run.expired_at, run.completed_at) == (
        1713122932350, 1, None, 2,
    )  # fmt: skip
    assert (len(run.tools), run.file_ids, run.extra) == (1, (), {})


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Assistant, "temperature"),
        (Assistant, "account_id"),
        (Assistant, "user_storage"),
        (Thread, "is_deleted"),
        (Message, "tool_calls"),
        (Message, "content_type"),
        (Run, "usage"),
        (Run, "tool_choice"),
        (RunStep, "usage"),
        (File, "url"),
        (AssistantFile, "gmt_crete"),
    ],
)
def test_what_this_api_has_not_is_extra(kind: type[Model], field: str) -> None:
    """A field of another API, or of none, breaks nothing and can be read."""
    obj = codec.model(kind, {"id": "x", field: {"any": 1}})

    assert obj.id == "x"  # type: ignore[attr-defined]
    assert obj.extra == {field: {"any": 1}}


def test_a_message_keeps_what_the_preview_showed() -> None:
    """`name` and `metadata` of a message were seen once (§3.6)."""
    message = codec.model(Message, {"id": "m", "name": "", "metadata": {"a": "b"}})

    assert (message.name, message.metadata) == (None, {"a": "b"})


# --- quirks ---


@pytest.mark.parametrize("key", ["step_datail", "step_detail", "step_details"])
def test_the_details_of_a_step_have_three_names(key: str) -> None:
    """Nobody has seen which it is (§3.10, §7 #5)."""
    step = codec.model(RunStep, {"id": "s", key: {"type": "tool_calls", "tool_calls": [CALL]}})

    assert step.step_details == StepDetails(type="tool_calls", tool_calls=(MADE,))
    assert (step.type, step.extra) == ("tool_calls", {})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "message_creation"}, "message_creation"),
        ({"type": ""}, None),
        ({"type": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_steps_type_is_that_of_its_details(given: Any, expected: str | None) -> None:
    """Its own is null wherever it was seen (§3.10)."""
    assert codec.model(RunStep, {"id": "s", "type": None, "step_datail": given}).type == expected


def test_a_steps_own_type_is_kept() -> None:
    """Should it ever be told."""
    details = {"type": "tool_calls"}
    step = codec.model(RunStep, {"id": "s", "type": "own", "step_datail": details})

    assert step.type == "own"


def test_nulls_inside_of_details_are_nothing() -> None:
    """Each member may be null (§3.10)."""
    details = dict.fromkeys(("message_creation", "action_info", "tool_calls", "tool_info"))
    step = codec.model(RunStep, {"id": "s", "step_datail": {"type": "tool_calls", **details}})
    empty = {"type": "message_creation", "message_creation": {"message_id": None}}

    assert step.step_details == StepDetails(type="tool_calls")
    assert codec.model(RunStep, {"id": "s", "step_datail": empty}).step_details == StepDetails(
        type="message_creation", message_creation=MessageCreation()
    )


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (1713122932, 1713122932000),
        (1713122932.5, 1713122932500),
        ("1713122932", 1713122932000),
        (1713122932350, 1713122932350),
        (99_999_999_999, 99_999_999_999_000),
        (100_000_000_000, 100_000_000_000),
        (0, None),
        (-1, None),
        ("0", None),
        (None, None),
        ("", None),
    ],
)
def test_a_files_time_is_in_seconds(wire: Any, expected: int | None) -> None:
    """And ours in milliseconds; one that is in these already is taken as it is (§3.0, §7 #3)."""
    assert codec.model(File, {"id": "f", "create_at": wire}).created_at == expected


def test_only_a_files_time_is_in_seconds() -> None:
    """All others are milliseconds, however small."""
    assert codec.model(Thread, {"id": "t", "created_at": 1713122932}).created_at == 1713122932
    assert codec.model(File, {"id": "f", "created_at": 1713122932}).created_at == 1713122932


@pytest.mark.parametrize("wire", [True, "soon", [1], {"a": 1}])
def test_a_time_that_is_none_at_all_cannot_be_read(wire: Any) -> None:
    """A truth value is no time either."""
    with pytest.raises(DecodeError):
        codec.model(File, {"id": "f", "create_at": wire})


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (None, None),
        ("", None),
        ({}, None),
        ({"type": None, "message": None}, None),
        ({"type": "", "message": ""}, None),
        ("broken", LastError(message="broken")),
        ({"type": "t", "message": ""}, LastError(type="t")),
        ({"code": "c", "message": "m", "more": 1}, LastError(code="c", message="m")),
    ],
)
def test_an_error_is_an_object_a_text_or_none(wire: Any, expected: LastError | None) -> None:
    """`""` in a list, null in a stream, an object where there is one (§3.9, §3.10)."""
    assert codec.model(Run, {"id": "r", "last_error": wire}).last_error == expected


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({}, ToolCall(function=FunctionCall())),
        ({"id": None, "type": None, "function": None}, ToolCall(function=FunctionCall())),
        ({"id": "c", "function": {"output": ""}}, ToolCall(id="c", function=FunctionCall())),
        (
            {"id": "c", "function": {"name": "f", "arguments": None, "output": None, "x": 1}},
            ToolCall(id="c", function=FunctionCall(name="f")),
        ),
        (CALL, MADE),
    ],
)
def test_a_call_is_read(wire: Any, expected: ToolCall) -> None:
    """An output of `""` is the SDK's for none (§3.9)."""
    assert codec.read_calls([wire]) == (expected,)


@pytest.mark.parametrize(
    "wire",
    ["text", {"a": 1}, [None], ["c"], [{"function": "f"}], [{"id": 5}], [{"type": ["x"]}],
     [{"function": {"name": {}}}]],
)  # fmt: skip
def test_calls_of_the_wrong_shape_cannot_be_read(wire: Any) -> None:
    """A DecodeError, nothing else."""
    with pytest.raises(DecodeError):
        codec.read_calls(wire)


def test_tools_that_nobody_knows_stay_as_they_are() -> None:
    """Only functions are documented; one without a type is one (§3.2)."""
    function = {"function": {"name": "f"}}
    read = codec.read_tools([function, {"type": "search", "x": 1}, {"type": "function"}])

    assert read == (
        FunctionTool(function=FunctionDefinition(name="f")),
        {"type": "search", "x": 1},
        {"type": "function"},
    )


@pytest.mark.parametrize("wire", ["text", 5, [5], [None]])
def test_tools_of_the_wrong_shape_cannot_be_read(wire: Any) -> None:
    """A DecodeError, nothing else."""
    with pytest.raises(DecodeError):
        codec.read_tools(wire)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"type": "message"}, FinalAnswer()),
        ({"type": "message", "message": None}, FinalAnswer()),
        ({"message": {"message_id": None, "content": None}}, FinalAnswer()),
        ({"message": {"content": []}}, FinalAnswer()),
        (None, None),
        ({}, None),
    ],
)
def test_a_final_answer_may_be_empty(wire: Any, expected: FinalAnswer | None) -> None:
    """Nulls at any depth are nothing."""
    assert codec.model(Run, {"id": "r", "final_answer": wire}).final_answer == expected


@pytest.mark.parametrize(
    ("wire", "calls"),
    [
        ({"type": "submit_tool_outputs", "submit_tool_outputs": None}, 0),
        ({"submit_tool_outputs": {"tool_calls": None}}, 0),
        ({"type": None, "submit_tool_outputs": {"tool_calls": [CALL, CALL]}}, 2),
    ],
)
def test_a_required_action_may_be_empty(wire: Any, calls: int) -> None:
    """Its calls are what matters."""
    run = codec.model(Run, {"id": "r", "status": "requires_action", "required_action": wire})

    assert len(run.tool_calls) == calls


def test_metadata_is_never_none() -> None:
    """It is null where none was ever set (§3.1, §3.5)."""
    kinds: tuple[Any, ...] = (Assistant, Thread, Run, Message)
    for kind in kinds:
        assert codec.model(kind, {"id": "x", "metadata": None}).metadata == {}


# --- lists ---


def test_a_list_of_files_has_only_its_data() -> None:
    """No ids of its ends, and no more pages (§2.2)."""
    page = codec.page(File, {"object": "list", "data": [{"id": "f"}]})

    assert page == Page(data=(File(id="f"),))


@pytest.mark.parametrize("data", [None, []])
def test_an_empty_list_is_empty(data: Any) -> None:
    """Null is no items."""
    ends = {"first_id": "", "last_id": "", "has_more": False}

    assert codec.page(Thread, {"object": "list", "data": data, **ends}) == Page()


@pytest.mark.parametrize("body", [None, [], {}, {"object": "list"}, "x", {"data": [5]}])
def test_what_is_no_list_cannot_be_read(body: Any) -> None:
    """It is not taken for an empty one."""
    with pytest.raises(DecodeError):
        codec.page(Thread, body)


@pytest.mark.parametrize("wire", [None, [], "x", 5, {}, {"id": None}, {"id": ""}, {"id": 5}])
@pytest.mark.parametrize("kind", [Assistant, Thread, Message, Run, RunStep, File, Deleted])
def test_what_has_no_id_cannot_be_read(kind: type[Model], wire: Any) -> None:
    """An object without an id is none."""
    with pytest.raises(DecodeError):
        codec.model(kind, wire)


@pytest.mark.parametrize("name", WHOLE)
@given(data=st.data())
@settings(max_examples=50)
def test_a_damaged_object_is_read_or_a_decode_error(name: str, data: st.DataObject) -> None:
    """Nothing else comes of it."""
    kind, wire, _ = WHOLE[name]
    try:
        obj = codec.model(kind, damaged(data, wire))
    except DecodeError:
        return
    assert isinstance(obj, kind)


@given(JSON)
def test_anything_is_read_or_a_decode_error(wire: Any) -> None:
    """Whatever a list holds."""
    for read in (codec.read_calls, codec.read_tools, codec.read_error):
        try:
            read(wire)
        except DecodeError:
            continue
