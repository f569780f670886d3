"""Keys and addresses: how the SDK finds the server, and who is let in."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from appbuilder import AssistantStreamManager
from appbuilder.core._exception import UnAuthorizedException
from appbuilder_sdk.calls import CALL, SDK, begin, new_assistant, submit, upload
from appbuilder_sdk.every_call import EVERY, VEILED, Nothing, World
from appbuilder_sdk.recording import went_well
from wire import KEY, UUID, Wire

WRONG = ["another-key", KEY + "x", KEY[:-1], "Bearer another-key"]


def told_by(error: BaseException) -> dict[str, str]:
    """The body of a refusal with a status, out of the text that the SDK makes of it."""
    told = re.fullmatch(
        rf"request_id=({UUID}) , http status code is (\d+), body is (\{{.*\}})", str(error)
    )
    assert told, error
    body = json.loads(told[4])
    assert set(body) == {"code", "message", "requestId"}, "flat, as the gateway's errors are"
    assert body["requestId"] == told[1]
    return {**body, "status": told[3]}


def finished(answer: Any) -> Any:
    """An answer, or the last event of one that is a stream."""
    if isinstance(answer, AssistantStreamManager):
        with answer as events:
            return list(events)[-1]
    return list(answer)[-1] if isinstance(answer, Iterator) else answer


@pytest.fixture
def _locked(locked_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK talks to the server that takes one key only, and has no key of its own."""
    monkeypatch.setenv("GATEWAY_URL", locked_server)
    monkeypatch.delenv("APPBUILDER_TOKEN")


@pytest.mark.usefixtures("_locked")
@pytest.mark.parametrize("call", EVERY)
def test_every_call_needs_the_right_key(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong key is a 401, whatever is asked for; the calls that ask first hide it."""
    for key in WRONG:
        monkeypatch.setenv("APPBUILDER_TOKEN", key)
        if call in VEILED:
            with pytest.raises(FileNotFoundError):
                EVERY[call](Nothing())
            continue
        with pytest.raises(UnAuthorizedException) as caught:
            EVERY[call](Nothing())
        told = told_by(caught.value)
        assert (told["status"], bool(told["message"])) == ("401", True)


@pytest.mark.usefixtures("_locked")
@pytest.mark.parametrize("key", [KEY, f"Bearer {KEY}"])
def test_right_key_is_let_in(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is given with its prefix, or without."""
    monkeypatch.setenv("APPBUILDER_TOKEN", key)
    assert begin("hello").status == "completed"


@pytest.mark.usefixtures("_locked")
def test_sdk_without_a_key_sends_nothing() -> None:
    """With no key anywhere the SDK itself raises."""
    with pytest.raises(ValueError, match="APPBUILDER_TOKEN"):
        SDK.assistants.list()


@pytest.mark.usefixtures("_locked")
def test_prefix_of_the_key_is_a_bearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK can be told another prefix, which the server does not take."""
    monkeypatch.setenv("APPBUILDER_TOKEN", KEY)
    monkeypatch.setenv("SECRET_KEY_PREFIX", "Token")
    with pytest.raises(UnAuthorizedException):
        SDK.assistants.list()


@pytest.mark.parametrize("call", EVERY)
def test_every_call_goes_well(call: str, tmp_path: Any) -> None:
    """With a key and all objects there, each call of the SDK is answered by no error."""
    assert went_well(finished(EVERY[call](World(tmp_path))))


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", f"Basic {KEY}", KEY])
def test_only_a_bearer_token_is_a_key(header: str, wire: Wire) -> None:
    """Without a bearer token the key is missing, also where any key would do."""
    answer = wire.post("/v2/assistants/list", {}, Authorization=header)
    assert (answer.status, set(answer.json)) == (401, {"code", "message", "requestId"})


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
@pytest.mark.parametrize("name", ["Authorization", "X-Appbuilder-Authorization"])
def test_either_header_brings_the_key(name: str, scheme: str, locked_wire: Wire) -> None:
    """The documents have one header, the SDK sends two; the scheme has no case."""
    given = {"Authorization": "", name: f"{scheme} {KEY}"}
    assert locked_wire.call("POST", "/v2/assistants/list", {}, given).status == 200


def test_key_that_is_no_text_is_wrong(locked_wire: Wire) -> None:
    """Bytes that are no UTF-8 are a wrong key, not a fault of the server."""
    answer = locked_wire.post("/v2/assistants/list", {}, Authorization="Bearer k-\xff")
    assert answer.status == 401


@pytest.mark.parametrize("slashes", ["", "/"])
def test_gateway_may_end_with_a_slash(
    slashes: str, server: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK joins gateway and path as they are, which may double the slash."""
    monkeypatch.setenv("GATEWAY_URL", server + slashes)
    made = new_assistant(file_ids=[upload(tmp_path).id])
    run = begin(CALL, assistant_id=made.id)
    assert run.status == "requires_action"
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert submit(run, calls, "rain").id == run.id
    events = list(SDK.threads.runs.stream_run(made.id, thread={"messages": [{"content": "x"}]}))
    assert events[-1].event_type == "run_end"


def test_request_is_taken_as_the_sdk_sends_it(server: str) -> None:
    """What the SDK puts into the headers besides the key is taken, and no cookie comes back."""
    client = SDK.assistants._http_client
    headers = client.auth_header()
    assert headers["X-Appbuilder-Origin"] == "appbuilder_sdk"
    answer = client.session.post(f"{server}/v2/assistants/list", headers=headers, json={})
    assert (answer.status_code, answer.headers.get("Set-Cookie")) == (200, None)
    assert re.fullmatch(UUID, answer.headers["X-Appbuilder-Request-Id"])
