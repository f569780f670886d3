"""Keys and workspaces: who may do what, and see what."""

from typing import Any

import dashscope
import pytest
from dashscope import Assistants, Messages, Runs, Steps, Threads
from dashscope.common.error import AuthenticationError
from dashscope_sdk.calls import (
    INVALID,
    error_of,
    finish,
    gone,
    ids_of,
    new_assistant,
    new_workspace,
)
from dashscope_sdk.every_call import PLAIN, STREAMS, Nothing
from wire import KEY, Wire

MISSING = (400, INVALID, "API key or Uid is missing. Please provide a valid API key or Uid.")
WRONG = (401, "InvalidApiKey", "Invalid API-key provided.")


@pytest.fixture
def _locked(locked_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the server that takes one key only, and has no key of its own."""
    monkeypatch.setattr(dashscope, "base_http_api_url", locked_server)
    monkeypatch.setattr(dashscope, "api_key", None)


@pytest.mark.usefixtures("_locked")
@pytest.mark.parametrize(
    ("key", "answer"), [("sk-another", WRONG), (KEY + "x", WRONG), (KEY[:-1], WRONG), ("", MISSING)]
)
def test_every_call_needs_the_right_key(key: str, answer: tuple[int, str, str]) -> None:
    """A wrong key is a 401, a missing one the documented 400, whatever is asked for."""
    for name, call in PLAIN.items():
        if name == "Messages.call":
            continue  # it drops the key; see below
        refused = call(Nothing(), api_key=key)
        if name == "AssistantFiles.get":
            assert refused is None, "which hides every error"
        else:
            assert error_of(refused) == answer
    for call in STREAMS.values():
        ((event, error),) = list(call(Nothing(), api_key=key))
        assert (event, error_of(error)) == (None, answer)


@pytest.mark.usefixtures("_locked")
def test_right_key_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key can be given with a call, or once for all."""
    assert Assistants.create(model="m", api_key=KEY).status_code == 200
    monkeypatch.setattr(dashscope, "api_key", KEY)
    assert finish("hello").status == "completed"


@pytest.mark.usefixtures("_locked")
def test_messages_call_drops_the_key(monkeypatch: pytest.MonkeyPatch, locked_wire: Wire) -> None:
    """`Messages.call` forgets its `api_key`; the wire takes the message with the key."""
    thread = Threads.create(api_key=KEY).id
    monkeypatch.setattr(dashscope, "api_key", "sk-another")
    assert error_of(Messages.call(thread, content="x", api_key=KEY)) == WRONG
    answer = locked_wire.call(
        "POST",
        f"/threads/{thread}/messages",
        {"content": "x", "role": "user"},
        {"Authorization": f"Bearer {KEY}"},
    )
    assert (answer.status, answer.json["content"][0]["text"]["value"]) == (200, "x")


@pytest.mark.usefixtures("_locked")
def test_sdk_without_a_key_sends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """With no key anywhere the SDK itself raises."""
    nowhere = str(tmp_path / "api_key")
    monkeypatch.setattr(dashscope, "api_key_file_path", None)
    monkeypatch.setattr("dashscope.common.api_key.DEFAULT_DASHSCOPE_API_KEY_FILE_PATH", nowhere)
    with pytest.raises(AuthenticationError):
        Assistants.list()


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {KEY}", KEY])
def test_only_a_bearer_token_is_a_key(header: str, wire: Wire) -> None:
    """Without a bearer token the key is missing, also where any key would do."""
    answer = wire.call("GET", "/assistants", headers={"Authorization": header})
    assert (answer.status, answer.json["code"], answer.json["message"]) == MISSING


def test_scheme_of_the_key_has_no_case(locked_wire: Wire) -> None:
    """`bearer` is as good as `Bearer`."""
    answer = locked_wire.call("GET", "/assistants", headers={"Authorization": f"bearer {KEY}"})
    assert answer.status == 200


def test_key_that_is_no_text_is_wrong(locked_wire: Wire) -> None:
    """Bytes that are no UTF-8 are a wrong key, not a fault of the server."""
    answer = locked_wire.call("GET", "/assistants", headers={"Authorization": "Bearer sk-\xff"})
    assert (answer.status, answer.json["code"], answer.json["message"]) == WRONG


def test_base_url_may_end_with_a_slash(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address can be given for all calls or for one, with a slash at its end or without."""
    made = new_assistant(base_address=server + "/").id
    monkeypatch.setattr(dashscope, "base_http_api_url", server + "/")
    assert Assistants.get(made).id == made


def test_workspaces_do_not_see_each_other() -> None:
    """An object is found and deleted in its own workspace only; none named is one of its own."""
    here, there = new_workspace(), new_workspace()
    made = new_assistant(workspace=here).id
    for other in ({"workspace": there}, {}):
        assert error_of(Assistants.get(made, **other)) == gone("assistant")
        assert error_of(Assistants.update(made, name="n", **other)) == gone("assistant")
        assert error_of(Assistants.delete(made, **other)) == gone("assistant")
    assert ids_of(Assistants.list(workspace=there)) == []
    assert ids_of(Assistants.list(workspace=here)) == [made]
    assert Assistants.delete(made, workspace=here).deleted is True


def test_whole_run_can_live_in_a_workspace() -> None:
    """Every call takes the workspace, and outside it nothing of the run is known."""
    here = {"workspace": new_workspace()}
    assistant = new_assistant(**here).id
    thread = Threads.create(**here).id
    message = Messages.create(thread, content="/call get_weather {}", **here).id
    events = Runs.create(thread, assistant_id=assistant, stream=True, **here)
    run = list(events)[-1][1].id
    ids = {"thread_id": thread, **here}
    step = Steps.list(run, **ids).data[0].id
    assert Steps.get(step, run_id=run, **ids).status == "in_progress"
    assert Runs.update(run, metadata={"a": "b"}, **ids).metadata == {"a": "b"}
    outputs = [{"output": "rain"}]
    assert Runs.submit_tool_outputs(run, tool_outputs=outputs, **ids).status_code == 200
    assert Runs.wait(run, **ids).status == "completed"
    assert len(Messages.list(thread, **here).data) == 2
    assert Messages.update(message, metadata={}, **ids).status_code == 200
    assert ids_of(Runs.list(thread, **here)) == [run]
    assert error_of(Runs.get(run, thread_id=thread)) == gone("thread")
    assert error_of(Runs.create(thread, assistant_id=assistant)) == gone("thread")
    assert Threads.delete(thread, **here).deleted is True


def test_run_needs_an_assistant_of_its_workspace() -> None:
    """A thread here cannot be run by an assistant from there."""
    here = {"workspace": new_workspace()}
    refused = Runs.create_thread_and_run(assistant_id=new_assistant().id, **here)
    assert error_of(refused) == gone("assistant")
