"""The offline engine: how a message steers a run."""

import pytest

from aiodashassist.core.models import Content, Message, Run, Text
from aiodashassist.core.tooling import FunctionCall, ToolCall
from aiodashassist.server.engines import CallFunctions, End, Move, Say, Turn, UsePlugin, chunks
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


def used(type: str, arguments: str, output: str) -> UsePlugin:
    """The move that uses this plugin."""
    return UsePlugin(type=type, arguments=arguments, output=output)


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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '/plugin quark_search {"input": {"query": "杭州"}} {"output": {"n": [1, 2.5, null]}}',
            used("quark_search", '{"query":"杭州"}', '{"n":[1,2.5,null]}'),
        ),
        ('/plugin calc {"input": "1 + 1"}{"output": "二"}', used("calc", "1 + 1", "二")),
        ('/plugin calc {"input": "\\u4e8c \\"x\\""}\r', used("calc", '二 "x"', "{}")),
        ('  /plugin  calc   {"input":""}  {"output":""} ', used("calc", "", "")),
        ('/plugin calc {"input": null} {"output": false}', used("calc", "null", "false")),
        ('/plugin calc {"input": []}', used("calc", "[]", "{}")),
    ],
)
async def test_a_plugin_is_given_what_its_line_says(line: str, expected: UsePlugin) -> None:
    """A string is taken as its text, anything else as compact JSON; no output is `{}`."""
    assert (await moves(f"{line}\n/say x"))[0] == expected


@pytest.mark.parametrize(
    "line",
    [
        "/plugin",
        "/plugin calc",
        '/plugin {"input": 1}',
        '/plugin {"input": 1} {"output": 2}',
        "/plugin calc 5",
        '/plugin calc {"input": 1',
        '/plugin calc {"output": 1}',
        '/plugin calc {"input": 1, "output": 2}',
        '/plugin calc {"output": 1} {"input": 2}',
        '/plugin calc {"input": 1} {"result": 2}',
        '/plugin calc {"input": 1} {"output": 2} more',
        '/plugin calc {"input": 1} more',
        '/plugin calc {"input": NaN}',
        '/plugin calc {"input": 1e999}',
        '/plugin calc {"input": "\\ud800"}',
        '/plugin calc {"input": ["\\ud800"]}',
        '/plugin calc {"input": ' + "[" * 100_000,
        '/plugin calc {"input": ' + "9" * 5000 + "}",
        '/plugin function {"input": 1}',
        '/plugin id {"input": 1}',
        '/plugin type {"input": 1}',
    ],
    ids=lambda line: line[:50],
)
async def test_a_plugin_that_cannot_be_read_is_text(line: str) -> None:
    """What is no TYPE with one or two such objects, or could not be sent, is echoed."""
    assert await moves(line) == [Say(line)]


async def test_plugins_keep_their_place_among_the_moves() -> None:
    """What is said before and after a plugin stays before and after it; calls come last."""
    text = '/say a\n/plugin p {"input":1}\n/wait 0\n/say b\n/plugin q {"input":2}\n/call f'

    assert await moves(text) == [
        Say("a"),
        used("p", "1", "{}"),
        Say("b"),
        used("q", "2", "{}"),
        calls(("f", "{}")),
    ]


async def test_a_plugin_after_calls_ends_their_round() -> None:
    """It is used once the outputs are there, as is what stands after it."""
    text = '/call a\n/plugin p {"input":1}\n/call b\n/say end'

    assert await moves(text) == [calls(("a", "{}"))]
    one = answered(("a", "1"))
    assert await moves(text, one) == [used("p", "1", "{}"), calls(("b", "{}"))]
    assert await moves(text, one, answered(("b", "2"))) == [Say("end")]


P = '/plugin p {"input":1} {"output":"甲"}'
Q = '/plugin q {"input":2} {"output":{"n":3}}'


@pytest.mark.parametrize(
    ("text", "rounds", "said"),
    [
        (f"not said\n{P}\n{Q}", 0, 'p -> 甲\nq -> {"n":3}'),
        (f"{P}\n/call f", 1, "p -> 甲\nf -> 1"),
        (f"/call f\n{P}", 1, "f -> 1\np -> 甲"),
        (f"{P}\n/call f\n{Q}", 1, 'p -> 甲\nf -> 1\nq -> {"n":3}'),
        (f"/say x\n{P}\n/call f\n{Q}", 1, 'f -> 1\nq -> {"n":3}'),
        (f"{P}\n/call f\n{Q}\n/say x", 1, "x"),
        (f"{P}\n/call f\n{Q}\n/call g", 2, 'q -> {"n":3}\ng -> 2'),
    ],
)
async def test_outputs_of_plugins_are_reported_too(text: str, rounds: int, said: str) -> None:
    """Without `/say` a plugin has its line before or after the round, where it stands."""
    given = [answered(("f", "1")), answered(("g", "2"))][:rounds]
    made = await moves(text, *given)

    assert "".join(move.text for move in made if isinstance(move, Say)) == said


async def test_a_run_that_fails_after_a_plugin_reports_nothing() -> None:
    """An ending is the last move; nothing is said for the plugins before it."""
    assert await moves(f"{P}\n/fail c m") == [
        used("p", "1", "甲"),
        End(status="failed", code="c", message="m"),
    ]


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


@pytest.mark.parametrize("text", ["", "一", "一二三四", "一二三四五六七八九"])
def test_chunks_are_the_text(text: str) -> None:
    """Joined they are the text; none is empty or long."""
    pieces = chunks(text)

    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= 8 for piece in pieces)
