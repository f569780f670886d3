"""`aiodashassist serve`: the local server in the foreground."""

import asyncio
import signal
from collections.abc import Sequence

from aiodashassist.server import LocalServer

__all__ = ("serve_until_stopped",)


async def serve_until_stopped(
    host: str, port: int, api_key: str | None, allowed_hosts: Sequence[str]
) -> None:
    """Serve until Ctrl-C or SIGTERM; the first line printed says where."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(sign, stopped.set)
        except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
            break
    server = LocalServer(host=host, port=port, api_key=api_key, allowed_hosts=allowed_hosts)
    async with server:
        print(f"serving {server.url}", flush=True)
        print(f"DASHSCOPE_HTTP_BASE_URL={server.dashscope_url}", flush=True)
        print(f"GATEWAY_URL={server.appbuilder_url}", flush=True)
        await stopped.wait()
