"""Servers of other kinds: how text is cut, pings, expiry, and what DashScope's servers are like."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from appbuilder.core._exception import NotFoundException
from appbuilder.utils.sse_util import SSEClient
from appbuilder_sdk.calls import (
    ASK,
    BEGIN,
    CALL,
    END,
    GO_ON,
    INVALID,
    SAY,
    SDK,
    answer_of,
    begin,
    calls_of,
    follow,
    go_on,
    order_of,
    point_at,
    refused,
    run_of,
    stream,
    submit,
    text_of,
)

SAYINGS = pytest.mark.parametrize(
    "text", ["hello world", "你好, 世界! 👩‍💻 e\u0301", "a\n\nbcdefg"]
)


def pieces_of(events: Iterable[Any]) -> list[str]:
    """The pieces of messages, as they came."""
    return [event.content[-1].text.value for event in events if event.event == "message"]


@SAYINGS
def test_text_can_be_repeated(
    text: str, cumulative_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may send all the text so far with each piece."""
    point_at(cumulative_server, monkeypatch)
    events = list(stream(text))
    pieces = pieces_of(events)
    assert (pieces[-1], len(pieces) > 1) == (text, True)
    assert all(
        later.startswith(piece) and later != piece for piece, later in itertools.pairwise(pieces)
    )
    assert order_of(events) == [*BEGIN, *SAY, *END]


def test_each_message_is_repeated_by_itself(
    cumulative_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that follows a round of calls begins anew."""
    point_at(cumulative_server, monkeypatch)
    events = follow(stream(f"/say one\n{CALL}\n/then\n/say two"), lambda _: "rain")
    assert pieces_of(events) == ["one", "two"]


@SAYINGS
def test_text_can_come_at_once(
    text: str, whole_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may send a message as one piece, as was observed."""
    point_at(whole_server, monkeypatch)
    events = list(stream(text))
    assert pieces_of(events) == [text]
    assert order_of(events) == [*BEGIN, *SAY, *END]


def test_long_text_comes_in_one_frame(whole_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK puts a frame together from many reads, which may cut a character in two."""
    point_at(whole_server, monkeypatch)
    text = "天气 weather\u2028" * 5000
    assert pieces_of(stream(text)) == [text]


def test_silence_is_filled_with_pings(whole_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that waits for outputs sends pings, which `stream_run` hides."""
    point_at(whole_server, monkeypatch)
    seen: list[Any] = []

    class Patient(SSEClient):
        """Answers the calls when a ping has come."""

        def events(self) -> Iterator[Any]:
            waiting = True
            for event in super().events():
                if waiting and event.event == "ping" and seen[-1].status == "requires_action":
                    submit(run_of(seen), seen[-1].details.tool_calls, "rain")
                    waiting = False
                yield event

    monkeypatch.setattr("appbuilder.core.assistant.threads.runs.runs.SSEClient", Patient)
    seen.extend(stream(CALL))
    assert order_of(seen) == [*BEGIN, *ASK, *GO_ON, *SAY, *END]
    assert [event.send_id for event in seen] == list(range(1, len(seen) + 1))


def test_run_that_waits_too_long_expires(
    hasty_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outputs that do not come let the run expire, which its open stream tells."""
    point_at(hasty_server, monkeypatch)
    events = list(stream(CALL))
    assert order_of(events) == [*BEGIN, *ASK, "tool_step_end", *END]
    assert (events[-1].status, events[-2].status) == ("expired", "expired")
    run = events[-1].details.run_object
    assert run.expired_at > 0
    read = SDK.threads.runs.query(run.thread_id, run.id)
    assert (read.status, read.expired_at) == ("expired", run.expired_at)


def test_ids_of_calls_may_be_empty(narrow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where calls have no ids, their order tells which output is whose."""
    point_at(narrow_server, monkeypatch)
    run = begin(CALL)
    assert [call.id for call in calls_of(run)] == [""]
    assert answer_of(go_on(run, "rain")) == "get_weather -> rain"
    events = follow(stream("/call a {}\n/call b {}"), lambda call: call.function.name.upper())
    assert text_of(events) == "a -> A\nb -> B"
    assert refused(go_on, run, "rain")[0] == INVALID


def test_server_need_not_cancel(narrow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was told not to has no such path; the run goes on waiting."""
    point_at(narrow_server, monkeypatch)
    run = begin(CALL)
    with pytest.raises(NotFoundException):
        SDK.threads.runs.cancel(run.id, run.thread_id)
    assert SDK.threads.runs.query(run.thread_id, run.id).status == "requires_action"
