"""The fixtures of the contract: each test runs with every client that there is."""

from tests.providers.test_contract import (
    _no_task_is_left,
    assistant_id,
    client,
    kind,
    server,
    told,
)

__all__ = ("_no_task_is_left", "assistant_id", "client", "kind", "server", "told")
