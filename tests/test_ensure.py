"""`client.assistants.ensure`: one assistant of a name, whoever asks for it first."""

import asyncio
import json
import logging
from typing import Any

import pytest

from aiodashassist import (
    AppBuilder,
    Assistant,
    CallInfo,
    DashScope,
    InvalidArgument,
    NotFound,
    PluginTool,
    Toolset,
    UnsupportedParameter,
    UserAuth,
    tool,
)
from aiodashassist.ensure import CONFIG
from aiodashassist.server import LocalServer
from tests.raw_server import RawServer, Received, Writer, whole
from tests.resources.test_assistants import DECLARED, get_weather
from tests.retrying import AT_ONCE


async def all_of(client: DashScope) -> list[Assistant]:
    """All assistants of the server, the oldest first."""
    return [one async for one in client.assistants.list(order="asc", page_size=100)]


def told_to(told: list[CallInfo], *names: str) -> list[str]:
    """Which of these operations were asked."""
    return [info.operation for info in told if info.operation in names]


CHANGES = ("CreateAssistant", "UpdateAssistant", "DeleteAssistant")


async def test_twenty_tasks_at_once_settle_on_one(client: DashScope) -> None:
    """All get the same, and only that one is left."""
    asked = (client.assistants.ensure(name="helper", model="qwen-max") for _ in range(20))
    ids = {assistant.id for assistant in await asyncio.gather(*asked)}

    assert [assistant.id for assistant in await all_of(client)] == list(ids)


async def test_what_was_ensured_is_found_again(server: LocalServer) -> None:
    """By another client, later: nothing is made, changed or deleted."""
    async with server.client(DashScope) as client:
        made = await client.assistants.ensure(name="helper", model="qwen-max", instructions="i")
    told: list[CallInfo] = []
    async with server.client(DashScope, on_request=told.append) as client:
        found = await client.assistants.ensure(name="helper", model="qwen-max", instructions="i")

    assert (found.id, found.name, found.instructions) == (made.id, "helper", "i")
    assert [info.operation for info in told] == ["ListAssistants"]


ALIKE: list[dict[str, Any]] = [
    {"model": "m", "instructions": "i", "tools": [get_weather], "metadata": {"a": 1, "b": 2}},
    {"metadata": {"b": 2, "a": 1}, "tools": (get_weather,), "instructions": "i", "model": "m"},
    {"model": "m", "instructions": "i", "tools": Toolset(get_weather),
     "metadata": {"a": 1, "b": 2}, "description": None, "top_p": None},
    {"model": "m", "instructions": "i", "tools": [DECLARED], "metadata": {"a": 1, "b": 2}},
    {"model": "m", "instructions": "i", "tools": [dict(reversed(DECLARED.items()))],
     "metadata": {"a": 1, "b": 2}, "extra_headers": {"X-A": "1"}, "extra_query": {"q": 1}},
]  # fmt: skip


@pytest.mark.parametrize("params", ALIKE)
async def test_configurations_that_mean_the_same_are_the_same(
    client: DashScope, params: dict[str, Any]
) -> None:
    """Order and None do not matter, nor whether a tool is a function, a toolset or a dict."""
    made = await client.assistants.ensure(name="helper", **ALIKE[0])

    found = await client.assistants.ensure(name="helper", on_change="create", **params)
    assert found.id == made.id
    assert [one.id for one in await all_of(client)] == [made.id]


OTHER: list[dict[str, Any]] = [
    {"model": "n"},
    {"model": "m", "instructions": ""},
    {"model": "m", "metadata": {"k": "v"}},
    {"model": "m", "tools": [get_weather]},
    {"model": "m", "tools": []},
    {"model": "m", "temperature": 0},
    {"model": "m", "extra_body": {"k": "v"}},
]


@pytest.mark.parametrize("params", OTHER)
async def test_any_difference_makes_another_configuration(
    client: DashScope, params: dict[str, Any]
) -> None:
    """`""`, `[]` and 0 are something, too; with "create" both stand beside each other."""
    made = await client.assistants.ensure(name="helper", model="m")
    other = await client.assistants.ensure(name="helper", on_change="create", **params)

    assert other.id != made.id
    assert (await client.assistants.ensure(name="helper", model="m")).id == made.id
    again = await client.assistants.ensure(name="helper", on_change="create", **params)
    assert again.id == other.id
    assert len(await all_of(client)) == 2


async def test_another_configuration_updates_the_oldest(server: LocalServer) -> None:
    """What is not given any more is taken away; nothing is made."""
    told: list[CallInfo] = []
    async with server.client(DashScope, on_request=told.append) as client:
        oldest = await client.assistants.ensure(
            name="helper", model="m", instructions="i", description="d", tools=[get_weather]
        )
        await client.assistants.ensure(name="helper", on_change="create", model="n")
        told.clear()
        changed = await client.assistants.ensure(name="helper", model="o", metadata={"k": "v"})
        assert told_to(told, *CHANGES) == ["UpdateAssistant"]
        kept = await client.assistants.retrieve(oldest.id)
        found = await client.assistants.ensure(name="helper", model="o", metadata={"k": "v"})
        assert len(await all_of(client)) == 2

    assert changed.id == oldest.id == kept.id == found.id
    assert (kept.model, kept.instructions, kept.description, kept.tools) == ("o", None, None, ())
    assert kept.metadata["k"] == "v"


async def test_a_younger_one_that_fits_is_not_taken_where_one_is_updated(client: DashScope) -> None:
    """It may be about to be dropped by whoever made it: everybody settles on the oldest."""
    oldest = await client.assistants.ensure(name="helper", model="m")
    younger = await client.assistants.ensure(name="helper", model="n", on_change="create")
    found = await client.assistants.ensure(name="helper", model="n")

    assert (found.id, found.model) == (oldest.id, "n")
    assert (await client.assistants.ensure(name="helper", model="n")).id == oldest.id
    assert [one.id for one in await all_of(client)] == [oldest.id, younger.id]


@pytest.mark.parametrize("models", [("m", "n"), ("m", "n", "o") * 5], ids=["two", "fifteen"])
async def test_configurations_that_begin_at_once_end_with_one(
    server: LocalServer, models: tuple[str, ...]
) -> None:
    """Workers of several versions start together: whatever each was given lives afterwards."""
    clients = [server.client(DashScope) for _ in models]
    try:
        pairs = zip(clients, models, strict=True)
        asked = (one.assistants.ensure(name="helper", model=model) for one, model in pairs)
        ids = {assistant.id for assistant in await asyncio.gather(*asked)}
        left = await all_of(clients[0])
    finally:
        for one in clients:
            await one.close()

    assert [assistant.id for assistant in left] == list(ids)
    assert left[0].model in models


@pytest.mark.parametrize(
    ("again", "named"),
    [
        ({}, "file_ids, temperature, top_p, top_k, max_tokens"),
        ({"file_ids": ["g"], "top_p": 0.5, "top_k": None}, "temperature, top_k, max_tokens"),
        ({"file_ids": [], "temperature": 0, "top_p": 1, "top_k": 0, "max_tokens": 1}, None),
    ],
)
async def test_what_cannot_be_cleared_is_logged(
    client: DashScope, caplog: pytest.LogCaptureFixture, again: dict[str, Any], named: str | None
) -> None:
    """An update has no words for "no file" or "no temperature": what stays is named, once."""
    made = await client.assistants.ensure(
        name="helper", model="m", file_ids=["f"], temperature=0.5, top_p=0.9, top_k=5, max_tokens=99
    )
    await client.assistants.ensure(name="helper", model="n", **again)
    await client.assistants.ensure(name="helper", model="n", **again)

    warned = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    told = f"assistant {made.id} keeps its {named}: they cannot be cleared"
    assert warned == ([told] if named else [])


async def test_what_can_be_cleared_is_not_logged(
    client: DashScope, caplog: pytest.LogCaptureFixture
) -> None:
    """Texts and tools are taken away, and nothing else was given."""
    await client.assistants.ensure(
        name="helper", model="m", instructions="i", description="d", tools=[get_weather]
    )
    await client.assistants.ensure(name="helper", model="n")

    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_an_update_keeps_what_is_given_again(client: DashScope) -> None:
    """Only what is left out is cleared."""
    await client.assistants.ensure(name="helper", model="m", instructions="i", description="d")
    changed = await client.assistants.ensure(
        name="helper", model="m", instructions="j", tools=[get_weather]
    )

    assert (changed.instructions, changed.description) == ("j", None)
    assert [one.function.name for one in changed.tools] == ["get_weather"]  # type: ignore[union-attr]


@pytest.mark.parametrize("on_change", ["update", "create"])
async def test_others_of_the_name_are_never_touched(client: DashScope, on_change: Any) -> None:
    """An assistant that `ensure` did not make is neither taken, changed nor deleted."""
    theirs = [
        await client.assistants.create(name="helper", model="m"),
        await client.assistants.create(name="helper", model="m", metadata={"k": "v"}),
    ]
    for model in ("m", "n"):
        mine = await client.assistants.ensure(name="helper", model=model, on_change=on_change)
        assert mine.id not in {one.id for one in theirs}

    now = [await client.assistants.retrieve(one.id) for one in theirs]
    assert [(one.model, one.metadata) for one in now] == [("m", {}), ("m", {"k": "v"})]


async def test_another_name_is_another_assistant(client: DashScope) -> None:
    """The same configuration under another name is made anew."""
    one = await client.assistants.ensure(name="one", model="m")
    two = await client.assistants.ensure(name="two", model="m")

    assert [assistant.id for assistant in await all_of(client)] == [one.id, two.id]


async def test_the_users_metadata_is_kept_beside_ours(client: DashScope) -> None:
    """One pair of the sixteen is ours, and it holds nothing that can be read."""
    secret = PluginTool("mine", auth=UserAuth(user_token="token-1"))
    made = await client.assistants.ensure(
        name="helper", model="m", metadata={"k": "v"}, instructions="hush-1", tools=[secret]
    )

    assert made.metadata.keys() == {"k", CONFIG}
    assert made.metadata["k"] == "v"
    assert len(made.metadata[CONFIG]) == 64
    assert set(made.metadata[CONFIG]) <= set("0123456789abcdef")
    assert "token-1" not in json.dumps(made.metadata)
    assert "hush-1" not in json.dumps(made.metadata)


async def test_fifteen_pairs_of_metadata_have_room(client: DashScope) -> None:
    """With ours they are the sixteen that the service takes."""
    mine = {str(number): "v" for number in range(15)}
    made = await client.assistants.ensure(name="helper", model="m", metadata=mine)

    assert made.metadata == {**mine, CONFIG: made.metadata[CONFIG]}


FULL = {str(number): "v" for number in range(16)}
NONSENSE: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"name": ""}, InvalidArgument, "name"),
    ({"name": None}, InvalidArgument, "name"),
    ({"on_change": "delete"}, InvalidArgument, "on_change"),
    ({"metadata": FULL}, InvalidArgument, "15 pairs"),
    ({"metadata": "x"}, InvalidArgument, "metadata"),
    ({"metadata": 0}, InvalidArgument, "metadata"),
    ({"temperature": 9}, InvalidArgument, "temperature"),
    ({"tools": ["x"]}, InvalidArgument, "str"),
    ({"metadata": {"k": object()}}, InvalidArgument, "JSON"),
    ({"chat_instructions": "x"}, UnsupportedParameter, "chat_instructions"),
    ({"nme": "x"}, UnsupportedParameter, "nme"),
]


@pytest.mark.parametrize(("params", "error", "words"), NONSENSE)
async def test_what_cannot_be_made_is_refused_before_anything_is_sent(
    params: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Also the pair too many that is ours."""
    told: list[CallInfo] = []
    async with DashScope("sk-x", on_request=told.append) as client:
        with pytest.raises(error, match=words):
            await client.assistants.ensure(**{"name": "helper", "model": "m", **params})

    assert told == []


async def test_it_is_found_among_many(server: LocalServer) -> None:
    """250 assistants are three pages, of the oldest first."""
    told: list[CallInfo] = []
    async with server.client(DashScope, on_request=told.append) as client:
        for number in range(250):
            await client.assistants.create(name="other", model=str(number))
        made = await client.assistants.ensure(name="helper", model="m")
        told.clear()
        found = await client.assistants.ensure(name="helper", model="m")

    assert found.id == made.id
    assert [info.operation for info in told] == ["ListAssistants"] * 3


@pytest.mark.parametrize("times", [1, 4, 5])
async def test_a_list_that_loses_its_place_is_read_anew(server: LocalServer, times: int) -> None:
    """Where a page ended, another worker's assistant was, and it is deleted; but not for ever."""
    lists = 0

    def drop(info: CallInfo) -> None:
        nonlocal lists
        lists += info.operation == "ListAssistants"
        if info.operation == "ListAssistants" and lists % 2 == 0 and lists <= 2 * times:
            ids = list(server.store._shelf("", Assistant, ""))
            server.store.delete("", Assistant, ids[99])

    async with server.client(DashScope) as client:
        for number in range(120):
            await client.assistants.create(name="other", model=str(number))
    async with server.client(DashScope, on_request=drop) as client:
        if times == 5:
            with pytest.raises(NotFound):
                await client.assistants.ensure(name="helper", model="m")
        else:
            made = await client.assistants.ensure(name="helper", model="m")
            assert made.name == "helper"


class Crowded:
    """A service where somebody else was first; each request is noted."""

    def __init__(self, deletion: bytes | None) -> None:
        self.noted: list[Received] = []
        self._deletion = deletion
        self._listed: list[dict[str, Any]] = []

    async def __call__(self, request: Received, writer: Writer) -> None:
        """Answer it."""
        self.noted.append(request)
        method = request.line.split(" ")[0]
        if method == "GET":
            writer.write(whole(json.dumps({"data": self._listed}).encode()))
        elif method == "POST":
            made = {**json.loads(request.body), "id": "asst_mine"}
            self._listed = [{**made, "id": "asst_theirs"}, made]
            writer.write(whole(json.dumps(made).encode()))
        elif self._deletion is None:
            writer.close()
        else:
            writer.write(self._deletion)


GONE = whole(b'{"code":"InvalidParameter","message":"does not exist"}', "400 Bad Request")
REFUSED = whole(b'{"code":"InternalError","message":"not now"}', "500 Internal Server Error")
DELETED = whole(b'{"id":"asst_mine","object":"assistant.deleted","deleted":true}')


@pytest.mark.parametrize(
    ("deletion", "warnings"), [(DELETED, 0), (GONE, 0), (REFUSED, 1), (None, 1)]
)
async def test_ones_own_is_deleted_where_another_was_first(
    deletion: bytes | None, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A deletion that fails, or breaks, each time is logged: what was found is found."""
    service = Crowded(deletion)
    async with (
        RawServer(service) as server,
        DashScope("sk-x", base_url=server.url, retry=AT_ONCE) as client,
    ):
        found = await client.assistants.ensure(name="helper", model="m")

    assert found.id == "asst_theirs"
    lines = [one.line.split(" ")[:2] for one in service.noted]
    assert lines[-1] == ["DELETE", "/assistants/asst_mine"]
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warned) == warnings
    assert all("asst_mine" in record.getMessage() for record in warned)


async def test_what_the_request_is_given_beside_goes_with_each_of_them() -> None:
    """Headers and query that a gateway may want are on every request, the deletion's too."""
    service = Crowded(DELETED)
    async with (
        RawServer(service) as server,
        DashScope("sk-x", base_url=server.url) as client,
    ):
        await client.assistants.ensure(
            name="helper", model="m", extra_body={"own": 1}, extra_headers={"X-Own": "2"},
            extra_query={"own": "3"},
        )  # fmt: skip

    assert [one.headers.get("x-own") for one in service.noted] == ["2"] * 4
    assert all("own=3" in one.line for one in service.noted)
    posted = [json.loads(one.body) for one in service.noted if one.body]
    assert [(one["own"], one["name"], one["model"]) for one in posted] == [(1, "helper", "m")]


async def test_a_service_that_does_not_list_what_it_made_is_believed() -> None:
    """Where the second list shows nothing, what was made is the one."""

    async def answer(request: Received, writer: Writer) -> None:
        posted = request.line.startswith("POST")
        writer.write(whole(b'{"id":"asst_1","name":"helper"}' if posted else b'{"data":[]}'))

    async with RawServer(answer) as server, DashScope("sk-x", base_url=server.url) as client:
        assert (await client.assistants.ensure(name="helper", model="m")).id == "asst_1"
        assert [one.line.split(" ")[0] for one in server.requests] == ["GET", "POST", "GET"]


@tool
async def other(city: str) -> str:
    """Another tool."""
    return city


async def test_tasks_that_change_it_together_end_with_one(client: DashScope) -> None:
    """The same change made ten times at once is one change."""
    made = await client.assistants.ensure(name="helper", model="m")
    asked = (client.assistants.ensure(name="helper", model="n", tools=[other]) for _ in range(10))
    changed = await asyncio.gather(*asked)

    assert {one.id for one in changed} == {made.id}
    assert [one.model for one in await all_of(client)] == ["n"]


async def test_on_a_wire_that_replaces_nothing_has_to_be_cleared(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An update is all of the assistant there: what is not given any more is gone with it."""
    full: Any = {
        "model": "m", "instructions": "i", "description": "d", "tools": [get_weather],
        "file_ids": ["f"], "thought_instructions": "t",
    }  # fmt: skip
    told: list[CallInfo] = []
    async with server.client(AppBuilder, on_request=told.append) as client:
        made = await client.assistants.ensure(name="helper", **full)
        assert (await client.assistants.ensure(name="helper", **full)).id == made.id
        told.clear()
        await client.assistants.ensure(name="helper", model="n")
        read = await client.assistants.retrieve(made.id)

    assert told_to(told, *CHANGES) == ["UpdateAssistant"]
    assert (read.instructions, read.description, read.thought_instructions) == (None, None, None)
    assert (read.tools, read.file_ids) == ((), ())
    assert caplog.records == []
