"""For the tests of programs that use this library.

    def test_answers(...)           with the fixtures of `plugin.py`, which pytest finds by itself:
                                    `local_server`, `dashscope`, `appbuilder`
    record(client, path)            write down what a client asks and is answered
    replay(path, DashScope)         a client that is answered so again, without a network

Faults are injected by `local_server.faults`, see `aiodashassist.server`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiodashassist.testing.cassette import Cassette, CassetteError, NotRecorded
    from aiodashassist.testing.recording import record
    from aiodashassist.testing.replaying import replay

__all__ = ("Cassette", "CassetteError", "NotRecorded", "record", "replay")

HOMES = {"record": "recording", "replay": "replaying"}


def __getattr__(name: str) -> Any:
    """A public name, once it is asked for: pytest imports this room for its plugin's sake."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{HOMES.get(name, 'cassette')}"), name)
