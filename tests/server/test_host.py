"""Under which names the server may be asked."""

import pytest

from aiodashassist import AppBuilder, DashScope, PermissionDenied
from aiodashassist.server import LocalServer
from aiodashassist.server.host import Hosts, plain_name
from tests.server.raw_client import Came, asking, came

WIRES = ("/api/v1/assistants", "/v2/assistants")
KNOWN = (
    "localhost", "localhost:8642", "LOCALHOST", "LocalHost.:1", "localhost:", "localhost.",
    "127.0.0.1", "127.0.0.1:8642", "127.0.0.1.", "127.9.9.9", "0.0.0.0:1", "10.1.2.3:80",
    "93.184.216.34", "[::1]", "[::1]:8642", "[::]:1", "[2001:db8::1]", "[::ffff:127.0.0.1]:80",
    "[FE80::1%eth0]:1",
)  # fmt: skip
STRANGE = (
    "evil.test", "evil.test:8642", "localhost.evil.test", "localhost.evil.test:80", "notlocalhost",
    "x.localhost", "127.0.0.1.evil.test", "127.0.0.1.nip.io", "evil.test.", "localhost..",
    "", ":8642", ".", "localhost:x", "localhost:80:80", "localhost:123456", "localhost, evil.test",
    "user@localhost", "localhost@evil.test", "http://localhost", "localhost/", "localhost#", "*",
    "::1", "::1:8642", "[::1", "::1]", "[::1]x", "[::1]:x", "[localhost]", "[127.0.0.1]", "[]",
    "[[::1]]", "[evil.test]:80", "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "256.1.1.1",
    "1.2.3.4.5", "１２７.0.0.1", "localhost\x00", "local host", "localhost:８",
)  # fmt: skip


@pytest.mark.parametrize("host", KNOWN)
def test_addresses_and_localhost_are_known(host: str) -> None:
    """On any port, in any case, with the dot of the root: none can be bound to another address."""
    assert Hosts().know([host])


@pytest.mark.parametrize("host", STRANGE)
def test_all_else_is_not(host: str) -> None:
    """Other names, what looks like one of the known, and what is no host at all."""
    assert not Hosts().know([host])


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"], ["localhost", "evil.test"]])
def test_there_must_be_one_host(hosts: list[str]) -> None:
    """None and two are refused: it is not said which of them counts."""
    assert not Hosts().know(hosts)


@pytest.mark.parametrize("host", ["my-box.test", "MY-box.TEST:80", "my-box.test.", "sv_1"])
def test_a_name_that_is_allowed_is_known(host: str) -> None:
    """As it is known, in any case, with a port and the dot of the root; those below it are not."""
    hosts = Hosts(["My-Box.test.", "sv_1"])

    assert hosts.know([host])
    assert hosts.know(["localhost"])
    assert not hosts.know([f"x.{host}"])
    assert not hosts.know([f"x{host}"])


@pytest.mark.parametrize(
    "name",
    ["", ".", "a:80", "*", "*.test", "a b", "a/b", "http://a", "[::1]", "a..b", "müller.de", "a\n"],
)
def test_what_is_no_name_cannot_be_allowed(name: str) -> None:
    """It would never match, so that it is told at once."""
    with pytest.raises(ValueError, match="is no name of a host"):
        LocalServer(allowed_hosts=["good.test", name])
    with pytest.raises(ValueError, match="is no name of a host"):
        plain_name(name)


def test_one_text_is_no_sequence_of_names() -> None:
    """Else each of its letters would be a name."""
    with pytest.raises(ValueError, match="must be a sequence"):
        LocalServer(allowed_hosts="good.test")


def test_where_it_listens_is_known() -> None:
    """A server that listens under a name can be asked under it, however it is written."""
    assert Hosts(own="Box.test").know(["box.test:80"])
    assert not Hosts(own="127.0.0.1").know(["box.test"])
    assert not Hosts(own="").know([""])


PATHS = {
    "/api/v1": "dashscope", "/api/v1/assistants": "dashscope", "/api/v1/nonsense": "dashscope",
    "//api/v1/x": "dashscope", "/v2": "appbuilder", "/v2/assistants": "appbuilder",
    "/v2/": "appbuilder", "//v2/assistants": "appbuilder", "/": "", "/x": "", "/api/v1x": "",
}  # fmt: skip


def check_refused(reply: Came, wire: str) -> None:
    """403 in the words of the wire."""
    assert reply.status == 403
    if wire == "dashscope":
        assert reply.json.keys() == {"code", "message", "request_id"}
        assert (reply.json["code"], reply.json["request_id"] != "") == ("AccessDenied", True)
    elif wire == "appbuilder":
        assert reply.json.keys() == {"code", "message", "requestId"}
        assert reply.json["code"] == "Forbidden"
        assert b"X-Appbuilder-Request-Id: " in reply.head
    else:
        assert reply.body == b"403: Forbidden"


@pytest.mark.parametrize("host", ["evil.test:80", "localhost.evil.test", "", "localhost:x"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_strange_host_is_refused_before_all_else(
    server: LocalServer, path: str, host: str
) -> None:
    """403 on every path, in the words of its wire, and nothing was done."""
    for method in ("POST", "GET"):
        request = asking(path, {"model": "m", "name": "n"}, method=method, host=host)
        check_refused(await came(server, request), PATHS[path])

    async with server.client(DashScope) as client:
        assert (await client.assistants.list()).data == ()


async def test_a_strange_host_learns_nothing_of_keys() -> None:
    """It is refused alike with the right key, a wrong one and none."""
    async with LocalServer(api_key="sk-right") as server:
        for key in (b"Bearer sk-right", b"Bearer x", b""):
            request = asking(WIRES[0], {"model": "m"}, host="evil.test")
            check_refused(await came(server, request.replace(b"Bearer x", key)), "dashscope")


async def test_two_hosts_and_none_are_refused(server: LocalServer) -> None:
    """Whether by the library that reads the request or by the check itself."""
    one = asking(WIRES[0], {"model": "m"})
    host = b"Host: localhost\r\n"
    old = one.replace(b"HTTP/1.1", b"HTTP/1.0").replace(host, b"")
    for request in (one.replace(host, b""), one.replace(host, host + host)):
        assert (await came(server, request)).status in (400, 403)
    check_refused(await came(server, old), "dashscope")

    async with server.client(DashScope) as client:
        assert (await client.assistants.list()).data == ()


@pytest.mark.parametrize("path", WIRES)
@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST.", "[::1]:5", "10.0.0.1", "box.test:9"])
async def test_a_known_host_is_served(path: str, host: str) -> None:
    """The port is whatever stands before the server; names are those that were allowed."""
    async with LocalServer(allowed_hosts=("Box.test",)) as server:
        reply = await came(server, asking(path, {"model": "m", "name": "n"}, host=host))

    assert (reply.status, reply.json["object"]) == (200, "assistant")


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
async def test_a_server_that_listens_under_a_name_has_clients(
    kind: type[DashScope | AppBuilder],
) -> None:
    """Its own URL has that name, and works."""
    async with LocalServer(host="localhost") as server, server.client(kind) as client:
        assert server.url.startswith("http://localhost:")
        assert (await client.threads.create()).id


@pytest.mark.parametrize("kind", [DashScope, AppBuilder])
async def test_a_client_is_told_that_it_is_refused(kind: type[DashScope | AppBuilder]) -> None:
    """It is `PermissionDenied`, and the words say what to do about it."""
    async with (
        LocalServer() as server,
        server.client(kind, headers={"Host": "box.test"}) as client,
    ):
        with pytest.raises(PermissionDenied, match="--allowed-host"):
            await client.threads.create()
