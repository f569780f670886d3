"""Asyncio client and local server for Assistants APIs.

from aiodashassist import AppBuilder, DashScope, tool

services.py   DashScope, AppBuilder, and AssistantsClient: what they have in common
client.py     one session, one provider, the resources of `resources/`
stream.py     RunStream, what users iterate; loop.py is the one loop behind it
tools.py      @tool and Toolset; schema.py reads signatures, dispatch.py runs the calls
calls.py      operations executed; session.py is all I/O of the client
feed.py       one streamed answer; clocks.py watches it
sending.py    what is sent again, and what is looked up; polling.py reads a run back
pages.py      lists; uploads.py, downloads.py: files on their way
core/         values and pure machines: models, events, operations, SSE, the run machine
providers/    one folder for each wire, pure
server/       the local server, and its faults
testing/      for users' tests: pytest fixtures, record and replay
errors.py     every exception
face.py       the public names
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiodashassist.face import *  # noqa: F403

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """A public name. Not before: whoever imports a part, such as pytest its plugin, pays for that.

    Raises:
        AttributeError: there is no such name.
    """
    face = import_module("aiodashassist.face")
    if name in globals():  # a module that came with it
        return globals()[name]
    if name != "__all__" and name not in face.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(face, name)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted({*globals(), *import_module("aiodashassist.face").__all__})
