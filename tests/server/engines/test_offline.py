"""The offline engine: how a message steers a run."""

import pytest

from aiodashassist.core.models import Content, Message, Run, Text
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.server.engines import CallFunctions, End, Move, Say, Turn
from aiodashassist.server.engines.offline import OfflineEngine


def message(text: str, role: str = "user") -> Message:
    """A message of a thread."""
    return Message(id="m", role=role, content=(Content(text=Text(value=text)),))


def answered(*pairs: tuple[str, str]) -> tuple[ToolCall, ...]:
    """A round of calls with their outputs."""
    return tuple(
        ToolCall(function=FunctionCall(name=name, output=output)) for name, output in pairs
    )


async def moves(text: str, *rounds: tuple[ToolCall, ...]) -> list[Move]:
    """What the engine does with a message after these rounds; neighbouring texts are joined."""
    turn = Turn(run=Run(id="r"), messages=(message(text),), rounds=rounds)
    found: list[Move] = []
    async for move in OfflineEngine().respond(turn):
        if isinstance(move, Say) and found and isinstance(found[-1], Say):
            move = Say(found.pop().text + move.text)  # type: ignore[union-attr]  # noqa: PLW2901
        found.append(move)
    return found


def calls(*functions: tuple[str, str]) -> CallFunctions:
    """The move that asks for these."""
    return CallFunctions(tuple(FunctionCall(name=n, arguments=a) for n, a in functions))


@pytest.mark.parametrize(
    "text",
    ["你好，世界😀", "two\nlines", "/etc/passwd is a file", "/unknown x", "/call", "/wait x"],
)
async def test_a_message_without_directives_is_echoed(text: str) -> None:
    """What steers nothing is the answer, to the letter; so are slashes that are no directives."""
    assert await moves(text) == [Say(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/say hello  you", [Say("hello  you")]),
        ("ignored\n/say a\n/say b", [Say("ab")]),
        ("/fail code a message", [End(status="failed", code="code", message="a message")]),
        ("/fail", [End(status="failed", code="server_error")]),
        ("/expire", [End(status="expired")]),
        ("/incomplete\r", [End(status="incomplete")]),
        ("/say x\n/fail c m\n/say y", [Say("x"), End(status="failed", code="c", message="m")]),
        ("/wait 0\nplain", [Say("plain")]),
        ("", []),
        ('/call f {"a": 1}', [calls(("f", '{"a": 1}'))]),
        ("/call f", [calls(("f", "{}"))]),
        ("/call f {broken", [calls(("f", "{broken"))]),
        ("/call a\nplain between\n/call b", [calls(("a", "{}"), ("b", "{}"))]),
        ("/say x\n/call a", [Say("x"), calls(("a", "{}"))]),
    ],
)
async def test_directives_steer_the_first_turn(text: str, expected: list[Move]) -> None:
    """Each directive does what the contract says, in the order of the lines."""
    assert await moves(text) == expected


async def test_what_stands_after_a_round_happens_after_its_outputs() -> None:
    """`/then` parts two rounds; any other directive after calls ends their round too."""
    text = "/call a\n/then\n/call b\n/say done\n/call c"
    one, two, three = answered(("a", "1")), answered(("b", "2")), answered(("c", "3"))

    assert await moves(text) == [calls(("a", "{}"))]
    assert await moves(text, one) == [calls(("b", "{}"))]
    assert await moves(text, one, two) == [Say("done"), calls(("c", "{}"))]
    assert await moves(text, one, two, three) == [Say("c -> 3")]


async def test_outputs_are_reported_unless_something_is_said() -> None:
    """Without `/say` the answer to a round is a line a call."""
    round_ = answered(("a", "1"), ("b", "二"))

    assert await moves("/call a\n/call b", round_) == [Say("a -> 1\nb -> 二")]
    assert await moves("/call a\n/call b\n/say ok", round_) == [Say("ok")]


async def test_the_newest_user_message_steers() -> None:
    """Older messages and those of the assistant do not."""
    messages = (message("/fail x"), message("new"), message("/expire", "assistant"))
    turn = Turn(run=Run(id="r"), messages=messages)
    said = [move async for move in OfflineEngine().respond(turn)]
    silent = [m async for m in OfflineEngine().respond(Turn(run=Run(id="r"), messages=()))]

    assert said == [Say("new")]
    assert silent == []


async def test_text_comes_in_chunks_of_a_few_characters() -> None:
    """A stream's reader sees many pieces."""
    turn = Turn(run=Run(id="r"), messages=(message("一二三四五"),))

    assert [move async for move in OfflineEngine().respond(turn)] == [Say("一二三四"), Say("五")]
