"""The command line (extra `cli`); the library never imports it.

Exit status: 0 on success, 1 when the run or the call failed, 2 for wrong usage.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from rich.console import Console

from aiodashassist import __version__
from aiodashassist.cli.demo import show_demo
from aiodashassist.cli.serve import serve_until_stopped
from aiodashassist.errors import AssistError
from aiodashassist.server.host import plain_name

__all__ = ("app", "run")

Port = Annotated[int, Parameter(validator=Number(gte=0, lte=65535))]


def _check_name(_: object, name: str) -> None:
    plain_name(name)


HostName = Annotated[str, Parameter(validator=_check_name)]
HostNames = Annotated[tuple[HostName, ...], Parameter(negative=())]

app = App(
    name="aiodashassist",
    help="Assistants APIs on asyncio, and on this machine.",
    version=__version__,
)


@app.command
def demo() -> None:
    """Stream a run with tools against the local server; needs no key and no network."""
    asyncio.run(show_demo())


@app.command
def serve(
    *,
    host: str = "127.0.0.1",
    port: Port = 8642,
    api_key: str | None = None,
    allowed_host: HostNames = (),
) -> None:
    """Serve both wires, DashScope's below /api/v1 and AppBuilder's below /v2, until Ctrl-C.

    Args:
        host: the interface to listen on.
        port: 0 takes a free one.
        api_key: the one key that is accepted; any is, where none is given.
        allowed_host: a name under which it may be asked, besides addresses and localhost; can be
            given more than once.
    """
    asyncio.run(serve_until_stopped(host, port, api_key, allowed_host))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, that of the process where none is given; the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(words, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return 2
    except (AssistError, OSError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
