"""The README's program for both services, which the type checker reads here."""

import asyncio

from aiodashassist import AppBuilder, AssistantsClient, DashScope, tool
from aiodashassist.server import LocalServer


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def answer(client: AssistantsClient, question: str) -> str:
    """Ask an assistant of whichever service it is."""
    assistant = await client.assistants.create(model="any", name="adder", tools=[add])
    result = await client.ask(question, assistant_id=assistant.id, tools=[add])
    return result.text


async def main() -> None:
    """Ask both."""
    async with LocalServer() as server:
        async with server.client(DashScope) as dashscope, server.client(AppBuilder) as appbuilder:
            print(await answer(dashscope, '/call add {"a": 19, "b": 23}'))
            print(await answer(appbuilder, '/call add {"a": 19, "b": 23}'))


if __name__ == "__main__":
    asyncio.run(main())
