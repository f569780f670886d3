"""Objects on AppBuilder's wire, spelled as the service was seen to do it."""

from typing import Any

import pytest

from aiodashassist.core.files import AssistantFile, MessageFile
from aiodashassist.core.models import (
    Assistant,
    Content,
    Deleted,
    FinalAnswer,
    FinalMessage,
    ImageFile,
    LastError,
    Message,
    MessageCreation,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
    Thread,
)
from aiodashassist.core.tooling import (
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    PluginCall,
    ToolCall,
)
from aiodashassist.providers.appbuilder import spelling
from aiodashassist.providers.appbuilder.spelling import Flavour

HI = (Content(text=Text(value="hi")),)
SAY = [{"type": "text", "text": {"value": "hi", "annotations": []}}]
CALL = ToolCall(id="c", function=FunctionCall(name="f", arguments="{}"))
SPELLED_CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
NO_TIMES = {
    "started_at": 0, "expired_at": 0, "cancelled_at": 0, "failed_at": 0, "completed_at": 0,
}  # fmt: skip


# --- one flavour ---


def test_a_bare_assistant_has_every_field() -> None:
    """`instructions` has to be there; `metadata` is null where none was set (§3.1)."""
    assert spelling.spell(Assistant(id="a"), "query") == {
        "id": "a", "object": "assistant", "name": "", "description": "", "model": "",
        "instructions": "", "thought_instructions": "", "chat_instructions": "",
        "response_format": "text", "tools": [], "file_ids": [], "metadata": None, "created_at": 0,
    }  # fmt: skip


def test_an_assistant_is_told_whole() -> None:
    """Tools as they were declared."""
    tool = FunctionTool(function=FunctionDefinition(name="f", parameters={"type": "object"}))
    assistant = Assistant(
        id="a", name="n", description="d", model="m", instructions="i", thought_instructions="t",
        chat_instructions="c", response_format="json_object", tools=(tool, {"type": "x"}),
        file_ids=("f",), metadata={"k": "v"}, created_at=5,
    )  # fmt: skip

    assert spelling.spell(assistant, "query") == {
        "id": "a", "object": "assistant", "name": "n", "description": "d", "model": "m",
        "instructions": "i", "thought_instructions": "t", "chat_instructions": "c",
        "response_format": "json_object", "file_ids": ["f"], "metadata": {"k": "v"},
        "created_at": 5,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "x"},
        ],
    }  # fmt: skip


def test_a_message_of_the_users_has_empty_ids() -> None:
    """`assistant_id` and `run_id` are empty texts (§3.6)."""
    message = Message(id="m", role="user", content=HI, created_at=5, thread_id="t")

    assert spelling.spell(message, "query") == {
        "id": "m", "object": "thread.message", "role": "user", "content": SAY, "created_at": 5,
        "thread_id": "t", "assistant_id": "", "run_id": "", "file_ids": [],
    }  # fmt: skip
    answer = Message(id="m", assistant_id="a", run_id="r", file_ids=("f",))
    told = spelling.spell(answer, "query")
    assert (told["assistant_id"], told["run_id"], told["file_ids"]) == ("a", "r", ["f"])
    assert (told["role"], told["thread_id"], told["content"], told["created_at"]) == ("", "", [], 0)


def test_only_texts_of_a_message_are_told() -> None:
    """This wire knows no other parts (§4)."""
    image = Content(type="image_file", image_file=ImageFile(file_id="f"))
    noted = Content(text=Text(value="x", annotations=[{"a": 1}]))

    assert spelling.spell_contents((image, noted)) == [
        {"type": "text", "text": {"value": "x", "annotations": [{"a": 1}]}}
    ]


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (Thread(id="t"), {"id": "t", "object": "thread", "created_at": 0, "metadata": {}}),
        (
            Thread(id="t", created_at=5, metadata={"a": "b"}),
            {"id": "t", "object": "thread", "created_at": 5, "metadata": {"a": "b"}},
        ),
        (
            AssistantFile(id="f", created_at=5, assistant_id="a"),
            {"id": "f", "object": "assistant.file", "created_at": 5, "assistant_id": "a"},
        ),
        (
            MessageFile(id="f", message_id="m"),
            {"id": "f", "object": "thread.message.file", "created_at": 0, "message_id": "m"},
        ),
        (
            Deleted(id="t", object="thread.deleted"),
            {"id": "t", "object": "thread.deleted", "deleted": True},
        ),
        (Deleted(id="t", deleted=False), {"id": "t", "object": "", "deleted": False}),
    ],
)
def test_small_objects_are_told(obj: Any, expected: Any) -> None:
    """Threads, attached files, deletions (§3.4, §3.5)."""
    assert spelling.spell(obj, "query") == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (CALL, SPELLED_CALL),
        (
            ToolCall(id="", function=FunctionCall(name="f", arguments="", output="")),
            {
                "id": "", "type": "function",
                "function": {"name": "f", "arguments": "", "output": ""},
            },
        ),
    ],
)  # fmt: skip
def test_a_call_has_an_output_once_there_is_one(call: ToolCall, expected: Any) -> None:
    """The raw JSON of the service had no key for one (§3.9)."""
    assert spelling.spell_call(call) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LastError(type="t", message="m"), {"type": "t", "message": "m"}),
        (LastError(code="c", message="m"), {"type": "c", "message": "m"}),
        (LastError(code="c", type="t"), {"type": "t", "message": ""}),
        (LastError(), {"type": "", "message": ""}),
    ],
)
def test_an_error_has_a_type_and_a_message(error: LastError, expected: Any) -> None:
    """The other API's code is this one's type (§3.9)."""
    assert spelling.spell_error(error) == expected


# --- runs ---

ACTION = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=(CALL,)))
FULL = Run(
    id="r", thread_id="t", assistant_id="a", status="completed", created_at=5, started_at=6,
    completed_at=7, model="m", instructions="i", thought_instructions="ti", chat_instructions="ci",
    tools=({"type": "x"},), file_ids=("f",), metadata={"k": "v"},
    final_answer=FinalAnswer(message=FinalMessage(message_id="m", content=HI)),
)  # fmt: skip
COMMON = {
    "id": "r", "assistant_id": "a", "thread_id": "t", "status": "completed",
    "required_action": None, "last_error": None, "created_at": 5, **NO_TIMES, "completed_at": 7,
    "started_at": 6,
}  # fmt: skip


def test_the_result_of_a_run_has_its_answer_and_no_settings() -> None:
    """Exactly the keys that were seen (§3.9)."""
    answer = {"type": "message", "message": {"content": SAY, "message_id": "m"}}

    assert spelling.spell_run(FULL, "result") == {
        **COMMON, "object": "run.result", "log_id": "r", "final_answer": answer,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("flavour", "tools", "instructions"),
    [("query", [], "i"), ("list", None, "i"), ("stream", [], "***")],
)
def test_a_run_that_is_told_has_its_settings_and_no_answer(
    flavour: Flavour, tools: Any, instructions: str
) -> None:
    """`tools` is null in a list, `file_ids` everywhere; a stream masks the end (§3.9, §7 #16)."""
    assert spelling.spell_run(FULL, flavour) == {
        **COMMON, "object": "thread.run", "final_answer": None, "model": "m",
        "instructions": instructions, "thought_instructions": "ti", "chat_instructions": "ci",
        "tools": tools, "file_ids": None,
    }  # fmt: skip


@pytest.mark.parametrize(("flavour", "started"), [("result", 5), ("stream", 5), ("query", 0)])
def test_a_run_has_started_where_it_is_followed(flavour: Flavour, started: int) -> None:
    """Read or listed its start is 0 (§3.9)."""
    run = Run(id="r", status="in_progress", created_at=5, instructions="clear")

    told = spelling.spell_run(run, flavour)
    assert told["started_at"] == started
    assert told.get("instructions", "clear") == "clear"


def test_a_bare_run_has_every_field() -> None:
    """Empty texts and zeros where nothing is known."""
    told = spelling.spell_run(Run(id="r"), "query")

    assert (told["assistant_id"], told["thread_id"], told["model"], told["instructions"]) == (
        "", "", "", "",
    )  # fmt: skip
    assert (told["thought_instructions"], told["chat_instructions"], told["created_at"]) == (
        "", "", 0,
    )  # fmt: skip
    assert spelling.spell_run(Run(id="r"), "result")["started_at"] == 0


@pytest.mark.parametrize("flavour", ["result", "query", "list", "stream"])
def test_a_run_that_waits_names_its_calls(flavour: Flavour) -> None:
    """In every flavour (§3.9)."""
    run = Run(id="r", status="requires_action", required_action=ACTION)

    assert spelling.spell_run(run, flavour)["required_action"] == {
        "type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [SPELLED_CALL]},
    }  # fmt: skip


@pytest.mark.parametrize("flavour", ["result", "query", "list", "stream"])
def test_an_incomplete_run_has_failed(flavour: Flavour) -> None:
    """This wire has no such status (§4)."""
    told = spelling.spell_run(Run(id="r", status="incomplete", created_at=5), flavour)

    assert (told["status"], told["failed_at"]) == ("failed", 5)
    assert told["last_error"] == {"type": "incomplete", "message": "The answer is incomplete."}
    assert told["completed_at"] == 0
    assert spelling.spell_run(Run(id="r", status="incomplete"), flavour)["failed_at"] == 0


def test_a_run_that_failed_tells_why() -> None:
    """With the time at which it did."""
    error = LastError(code="c", message="m")
    told = spelling.spell_run(Run(id="r", status="failed", failed_at=9, last_error=error), "query")

    assert (told["last_error"], told["failed_at"]) == ({"type": "c", "message": "m"}, 9)


def test_runs_and_steps_are_told_in_their_flavours() -> None:
    """All other objects are told the same everywhere."""
    flavours: tuple[Flavour, ...] = ("result", "query", "list", "stream")
    for flavour in flavours:
        assert spelling.spell(FULL, flavour) == spelling.spell_run(FULL, flavour)
        assert spelling.spell(STEP, flavour) == spelling.spell_step(STEP, flavour)
        assert spelling.spell(Thread(id="t"), flavour) == spelling.spell(Thread(id="t"), "query")


# --- steps ---

STEP = RunStep(
    id="s", thread_id="t", run_id="r", assistant_id="a", status="completed", created_at=5,
    completed_at=7, type="message_creation",
    step_details=StepDetails(
        type="message_creation", message_creation=MessageCreation(message_id="m")
    ),
)  # fmt: skip
SPELLED_STEP = {
    "id": "s", "object": "thread.run.step", "thread_id": "t", "run_id": "r",
    "status": "completed", "created_at": 5, **NO_TIMES, "completed_at": 7,
}  # fmt: skip
DETAILS: dict[str, Any] = {
    "type": "message_creation", "message_creation": {"message_id": "m"}, "action_info": None,
    "tool_calls": [], "tool_info": [],
}  # fmt: skip


def test_a_step_in_a_stream_says_nothing_of_what_it_did() -> None:
    """No type and no details; no error is null (§3.10)."""
    assert spelling.spell_step(STEP, "stream") == {
        **SPELLED_STEP, "assistant_id": "a", "last_error": None,
    }  # fmt: skip


@pytest.mark.parametrize(("flavour", "assistant_id"), [("query", None), ("list", "a")])
def test_a_step_that_is_read_has_its_details(flavour: Flavour, assistant_id: str | None) -> None:
    """Under the SDK's own spelling; no error is an empty text, the type is null (§3.10)."""
    assert spelling.spell_step(STEP, flavour) == {
        **SPELLED_STEP, "assistant_id": assistant_id, "last_error": "", "type": None,
        "step_datail": DETAILS,
    }  # fmt: skip


def test_a_step_without_details_has_null() -> None:
    """And empty texts and zeros where nothing is known."""
    told = spelling.spell_step(RunStep(id="s"), "list")

    assert (told["step_datail"], told["assistant_id"], told["thread_id"]) == (None, "", "")
    assert (told["run_id"], told["status"], told["created_at"]) == ("", "", 0)


def test_the_error_of_a_step_is_an_object() -> None:
    """In every flavour."""
    step = RunStep(id="s", last_error=LastError(code="c", message="m"))

    flavours: tuple[Flavour, ...] = ("stream", "query", "list")
    for flavour in flavours:
        told = spelling.spell_step(step, flavour)
        assert told["last_error"] == {"type": "c", "message": "m"}


def test_calls_and_plugins_of_a_step_are_told_apart() -> None:
    """A vendor's plugin is `tool_info`, a function is a call (§3.10)."""
    plugin = ToolCall(type="search", plugin=PluginCall(arguments="{}", output="o"))
    details = StepDetails(type="tool_calls", tool_calls=(CALL, plugin))

    told = spelling.spell_step(RunStep(id="s", step_details=details), "query")["step_datail"]
    assert told["tool_calls"] == [SPELLED_CALL]
    assert told["tool_info"] == [
        {"type": "search", "name": "search", "arguments": "{}", "output": "o"}
    ]
    assert told["message_creation"] is None
