"""Starting and stopping the local server."""

import tempfile
from pathlib import Path
from typing import Any

import pytest

from aiodashassist import AppBuilder, DashScope
from aiodashassist.server import LocalServer


async def test_it_listens_on_loopback_and_a_free_port() -> None:
    """Port 0 takes a free one; two servers do not know each other."""
    async with LocalServer() as one, LocalServer() as two:
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url != two.url
        async with one.client(DashScope) as first, two.client(DashScope) as second:
            await first.assistants.create(model="m")
            assert (await second.assistants.list()).data == ()


async def test_it_has_no_url_before_it_runs_or_after() -> None:
    """Asking too early is told how to do it."""
    server = LocalServer()
    with pytest.raises(RuntimeError, match="async with"):
        _ = server.url
    async with server:
        assert server.dashscope_url.endswith("/api/v1")
    with pytest.raises(RuntimeError):
        _ = server.url


async def test_a_port_that_is_taken_is_an_os_error() -> None:
    """The second server on a port cannot start, and leaves nothing behind."""
    async with LocalServer() as one:
        port = int(one.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"):
            await LocalServer(port=port).start()


async def test_ipv6_is_written_as_urls_have_it() -> None:
    """The host of an IPv6 address stands in brackets."""
    async with LocalServer(host="::1") as server, server.client(DashScope) as client:
        assert server.url.startswith("http://[::1]:")
        assert (await client.assistants.list()).data == ()


async def test_a_client_takes_options() -> None:
    """What is said of the client wins over what the server knows."""
    async with (
        LocalServer(api_key="sk-local") as server,
        server.client(DashScope, workspace="ws") as client,
    ):
        made = await client.assistants.create(model="m")
        async with server.client(DashScope) as other:
            assert made.id not in [item.id async for item in other.assistants.list()]


async def test_its_files_are_gone_when_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lie in a folder of their own, made for the first and removed with the last."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with LocalServer() as server, server.client(DashScope) as client:
        assert below(tmp_path) == []
        await client.files.create(b"abc")
        assert len(below(tmp_path)) == 2

    assert below(tmp_path) == []


def below(folder: Path) -> list[Path]:
    """Files and folders."""
    return list(folder.rglob("*"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"message_chunks": "auto"}, "message_chunks must be"),
        ({"message_chunks": None}, "message_chunks must be"),
        ({"ping_after": 0}, "ping_after must be"),
        ({"ping_after": -1}, "ping_after must be"),
        ({"ping_after": float("nan")}, "ping_after must be"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: Any, words: str) -> None:
    """A slip of the pen is told when the server is made."""
    with pytest.raises(ValueError, match=words):
        LocalServer(**options)


async def test_one_server_speaks_to_clients_of_each_service() -> None:
    """Each has its own base URL; AppBuilder's is the host itself."""
    async with LocalServer() as server:
        assert server.appbuilder_url == server.url
        async with (
            server.client(DashScope) as one,
            server.client(AppBuilder) as other,
            AppBuilder("local", server.appbuilder_url + "/") as third,
        ):
            made = await one.assistants.create(model="m", name="n")
            for client in (other, third):
                assert (await client.assistants.retrieve(made.id)).name == "n"
