"""Requests to a server without an SDK, to look at the wire behind its back."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import requests

KEY = "the-one-key"  # of the locked server
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

Frame = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """What came back from the wire; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The type of the body."""
        return self.headers["content-type"]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def frames(self) -> list[Frame]:
        """The frames of a stream: event and data, with no space after the colons."""
        return self._frames("")

    @property
    def spaced_frames(self) -> list[Frame]:
        """The frames of a stream: event and data, with one space after the colons."""
        return self._frames(" ")

    def _frames(self, gap: str) -> list[Frame]:
        text = self.body.decode()
        found = re.findall(rf"event:{gap}(\S+)\ndata:{gap}(\S.*)\n\n", text)
        whole = "".join(f"event:{gap}{name}\ndata:{gap}{data}\n\n" for name, data in found)
        assert whole == text, "nothing else stands between the frames"
        return found


class Wire:
    """Requests to a server.

    Args:
        base: what stands before every path.
    """

    def __init__(self, base: str) -> None:
        self.base = base
        self._opener = build_opener(ProxyHandler({}))

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request; a body that is no bytes is written as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": "Bearer any-key", "Content-Type": "application/json"}
        request = Request(
            self.base + path, data=data, method=method, headers={**given, **(headers or {})}
        )
        try:
            response = self._opener.open(request, timeout=30)
        except HTTPError as error:
            response = error
        with response:
            named = {name.lower(): value for name, value in response.headers.items()}
            return Answer(status=response.status, headers=named, body=response.read())

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """One POST; a header's name may have `_` for `-`."""
        return self.call(
            "POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )

    def send_form(
        self, path: str, fields: Sequence[tuple[str, str]], files: Sequence[Any]
    ) -> Answer:
        """Upload files; a file is the name of its part, and its own name with the content."""
        form = requests.Request("POST", self.base, data=list(fields), files=list(files)).prepare()
        assert isinstance(form.body, bytes)
        return self.call("POST", path, form.body, dict(form.headers))
