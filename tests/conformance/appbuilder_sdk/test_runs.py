"""Runs without a stream: every call of the SDK, and function calls by a second call of `run`."""

import re
from typing import Any

import pytest
from appbuilder_sdk.calls import (
    CALL,
    GONE,
    INVALID,
    SDK,
    WEATHER,
    answer_of,
    begin,
    calls_of,
    check_paging,
    ids_of,
    new_assistant,
    new_thread,
    refused,
)
from pydantic import ValidationError
from wire import UUID, Wire

TIMES = ("started_at", "completed_at", "expired_at", "cancelled_at", "failed_at")
TEXTS = {"instructions": "新", "thought_instructions": "think", "chat_instructions": "talk"}


def parameters(**chat: float) -> Any:
    """Parameters of the model, all given."""
    types = SDK.public_type
    return types.AssistantModelParameters(
        chat_parameters=types.AssistantChatParameters(
            **{"temperature": 0.5, "top_p": 0.0, "penalty_score": 2.0, **chat}
        ),
        thought_parameters=types.AssistantThoughtParameters(
            temperature=1.0, top_p=1.0, penalty_score=1.0
        ),
    )


def happened(run: Any) -> list[str]:
    """The times of a run that are not 0, and are milliseconds."""
    assert all(len(str(getattr(run, name))) in (1, 13) for name in (*TIMES, "created_at"))
    return [name for name in TIMES if getattr(run, name) != 0]


def test_run_is_answered_when_it_is_done() -> None:
    """The answer to `run` is the result, with the final answer in it."""
    assistant, thread = new_assistant().id, new_thread("你好")
    run = SDK.threads.runs.run(thread_id=thread, assistant_id=assistant)
    assert isinstance(run, SDK.type.RunResult)
    assert (run.object, run.status) == ("run.result", "completed")
    assert (run.assistant_id, run.thread_id) == (assistant, thread)
    assert re.fullmatch(f"run_{UUID}", run.id)
    assert (run.required_action, run.last_error, answer_of(run)) == (None, None, "你好")
    assert happened(run) == ["started_at", "completed_at"]


def test_every_parameter_is_taken() -> None:
    """All that the SDK can send with a run is taken, and the run is read with its own values."""
    assistant = new_assistant(instructions="old")
    run = SDK.threads.runs.run(
        assistant_id=assistant.id,
        thread_id=new_thread("one"),
        thread=SDK.type.AssistantThread(messages=[SDK.type.AssistantMessage(content="two")]),
        model="DeepSeek-V3.1",
        response_format="json_object",
        tools=[SDK.type.AssistantTool(**WEATHER)],
        metadata={"键": "值"},
        tool_output=None,
        model_parameters=parameters(),
        user_info=SDK.type.AssistantUserInfo(id="u", name="n", nickname="n", baidu_id="b"),
        user_loc=SDK.type.AssistantUserLoc(loc='{"city":"北京"}', uip="127.0.0.1", uipv6="::1"),
        **TEXTS,
    )
    assert (run.status, answer_of(run)) == ("completed", "two")
    read = SDK.threads.runs.query(run.thread_id, run.id)
    assert read.model == "DeepSeek-V3.1"
    assert {name: getattr(read, name) for name in TEXTS} == TEXTS
    assert SDK.assistants.query(assistant.id).instructions == "old"


def test_run_inherits_what_is_not_given() -> None:
    """Null leaves it to the assistant; an empty text overrides, too."""
    made = new_assistant(model="ERNIE-4.0-8K", **TEXTS).id
    run = begin("x", assistant_id=made)
    read = SDK.threads.runs.query(run.thread_id, run.id)
    assert (read.model, {name: getattr(read, name) for name in TEXTS}) == ("ERNIE-4.0-8K", TEXTS)
    run = begin("x", assistant_id=made, instructions="", chat_instructions="other")
    read = SDK.threads.runs.query(run.thread_id, run.id)
    found = (read.instructions, read.thought_instructions, read.chat_instructions)
    assert found == ("", "think", "other")


def test_read_run_is_of_another_flavour() -> None:
    """A run that is read or listed is a `thread.run` without the answer, in the observed way."""
    run = begin("hello")
    read = SDK.threads.runs.query(thread_id=run.thread_id, run_id=run.id)
    assert isinstance(read, SDK.type.RunResult)
    page = SDK.threads.runs.list(run.thread_id)
    assert isinstance(page, SDK.thread_type.RunListResponse)
    (listed,) = page.data
    assert (read.tools, listed.tools, read.file_ids) == ([], None, None)
    assert read.model_dump() == {**listed.model_dump(), "tools": []}
    assert (read.id, read.object, read.status) == (run.id, "thread.run", "completed")
    assert (read.final_answer, read.required_action, read.last_error) == (None, None, None)
    assert (read.created_at, happened(read)) == (run.created_at, ["completed_at"])


def test_runs_are_listed_page_by_page() -> None:
    """Newest first unless asked otherwise, and cursors go on in the order of the list."""
    assistant, thread = new_assistant().id, new_thread()
    more = {"messages": [{"content": "x"}]}
    made = [SDK.threads.runs.run(assistant, thread, more).id for _ in range(3)]
    check_paging(lambda **query: SDK.threads.runs.list(thread_id=thread, **query), made)
    assert len(SDK.threads.runs.list(thread, limit=100000).data) == 3


@pytest.mark.parametrize(
    ("query", "code"),
    [({"limit": 0}, INVALID), ({"after": "run_none"}, GONE), ({"before": "run_none"}, GONE)],
    ids=str,
)
def test_bad_page_is_refused(query: dict[str, Any], code: str) -> None:
    """A limit of at least one, and cursors that exist."""
    assert refused(SDK.threads.runs.list, new_thread(), **query)[0] == code


def test_what_is_not_there_does_not_run() -> None:
    """The assistant and the thread have to exist, and so has a run that is asked for."""
    thread = new_thread("x")
    assert refused(SDK.threads.runs.run, "asst_none", thread)[0] == GONE
    assert refused(SDK.threads.runs.run, new_assistant().id, "thread_none")[0] == GONE
    assert refused(SDK.threads.runs.query, thread, "run_none")[0] == GONE
    code, message = refused(SDK.threads.runs.run, "", thread)
    assert (code, "assistant_id" in message) == (INVALID, True)


def test_run_needs_a_thread(wire: Wire) -> None:
    """The SDK wants a thread or its id; so does the wire."""
    made = new_assistant().id
    for call in (SDK.threads.runs.run, SDK.threads.runs.stream_run):
        with pytest.raises(ValueError, match="can't be empty"):
            call(assistant_id=made)
    answer = wire.post("/v2/threads/runs", {"assistant_id": made, "thread_id": ""})
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
    assert "thread" in answer.json["error"]["message"]


def test_last_message_is_the_users() -> None:
    """A conversation that ends with an answer, or has not begun, cannot be run."""
    run = begin("hello")
    for thread in (run.thread_id, new_thread()):
        code, message = refused(SDK.threads.runs.run, run.assistant_id, thread)
        assert (code, "user" in message) == (INVALID, True)
    SDK.threads.messages.create(run.thread_id, "again")
    assert answer_of(begin("", thread_id=run.thread_id)) == "again"


@pytest.mark.parametrize(
    "chat", [{"temperature": 1.1}, {"top_p": -0.1}, {"penalty_score": 0.9}], ids=str
)
def test_sampling_has_limits(chat: dict[str, float], wire: Wire) -> None:
    """The SDK checks them before it sends, and the wire has the same ones."""
    with pytest.raises(ValueError, match="must be in range"):
        begin("x", model_parameters=parameters(**chat))
    for part in ("chat_parameters", "thought_parameters"):
        body = {"assistant_id": new_assistant().id, "thread_id": new_thread("x")}
        answer = wire.post("/v2/threads/runs", {**body, "model_parameters": {part: chat}})
        assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
        assert next(iter(chat)) in answer.json["error"]["message"]


def test_temperature_is_above_zero() -> None:
    """The documented range leaves 0 out; the SDK lets it pass, and the server says no."""
    code, message = refused(begin, "x", model_parameters=parameters(temperature=0))
    assert (code, "temperature" in message) == (INVALID, True)


def test_half_of_the_parameters_can_be_null(wire: Wire) -> None:
    """The SDK fails on its own checks of a null; on the wire it says that nothing is given."""
    half = SDK.type.AssistantModelParameters(chat_parameters=None)
    with pytest.raises(AttributeError):
        begin("x", model_parameters=half)
    body = {"assistant_id": new_assistant().id, "thread_id": new_thread("x")}
    given = {"chat_parameters": {"temperature": None, "top_p": 0.5}, "thought_parameters": None}
    answer = wire.post("/v2/threads/runs", {**body, "model_parameters": given})
    assert (answer.status, answer.json["status"]) == (200, "completed")


def test_model_of_a_run_is_free(wire: Wire) -> None:
    """The SDK knows two models; the wire takes any name."""
    with pytest.raises(ValidationError):
        begin("x", model="ERNIE-4.0-8K")
    thread = new_thread("x")
    body = {"assistant_id": new_assistant().id, "thread_id": thread, "model": "ERNIE-4.0-8K"}
    run = wire.post("/v2/threads/runs", body).json
    assert SDK.threads.runs.query(thread, run["id"]).model == "ERNIE-4.0-8K"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, "说" * 4097) for name in TEXTS),
        ("response_format", "json"),
        ("metadata", {str(number): "" for number in range(17)}),
        ("user_info", {"id": 7}),
        ("user_loc", {"loc": {"city": "北京"}}),
        ("stream", "yes"),
        ("tools", [{"type": "code_interpreter"}]),
        ("thread", 7),
    ],
)
def test_wire_has_limits(field: str, value: Any, wire: Wire) -> None:
    """What the SDK does not send is refused by the server, which names the field."""
    body = {"assistant_id": new_assistant().id, "thread_id": new_thread("x"), field: value}
    answer = wire.post("/v2/threads/runs", body)
    assert (answer.status, answer.json["error"]["code"]) == (200, INVALID)
    assert field in answer.json["error"]["message"]


def test_busy_thread_refuses_a_second_run() -> None:
    """While a run waits, another is refused, and the message says so."""
    run = begin(CALL)
    more = {"messages": [{"content": "x"}]}
    code, message = refused(SDK.threads.runs.run, run.assistant_id, run.thread_id, more)
    assert (code, run.id in message) == (INVALID, True)
    assert [call.function.name for call in calls_of(run)] == ["get_weather"]
    assert ids_of(SDK.threads.runs.list(run.thread_id)) == [run.id]


@pytest.mark.parametrize(
    ("text", "status", "error"),
    [
        ("/fail rate_limit 慢一点", "failed", ("rate_limit", "慢一点")),
        ("/incomplete", "failed", None),
        ("/expire", "expired", None),
    ],
)
def test_run_that_ends_badly_is_an_answer_too(text: str, status: str, error: Any) -> None:
    """A failed or expired run is no error of the call: its status, time and error tell."""
    run = begin(f"/say Hel\n{text}")
    assert (run.object, run.status, happened(run)) == (
        "run.result",
        status,
        ["started_at", f"{status}_at"],
    )
    if status == "failed":
        assert error in (None, (run.last_error.type, run.last_error.message))
    else:
        assert run.last_error is None
    read = SDK.threads.runs.query(run.thread_id, run.id)
    assert (read.status, read.last_error) == (status, run.last_error)
    message = SDK.threads.messages.list(run.thread_id).data[0]
    assert message.content[0].text.value == "Hel", "what was said stays"
