"""What the tests of recording and replaying talk about."""

from msgspec.structs import replace

from aiodashassist import AppBuilder, DashScope, Event, RunResult, ToolFinished, Toolset, tool

Client = DashScope | AppBuilder
KINDS: tuple[type[DashScope] | type[AppBuilder], ...] = (DashScope, AppBuilder)

TWO_ROUNDS = """/say 我来看看 the weather
/call get_weather {"city": "杭州"}
/call get_weather {"city": "Kyoto"}
/then
/call get_time {}
/then
/say It is fine in both, 天气不错, as far as anybody can tell."""


@tool
async def get_weather(city: str) -> str:
    """Current weather of a city."""
    return f"sunny in {city}"


@tool
async def get_time() -> str:
    """Time of the day."""
    return "noon"


TOOLS = Toolset(get_weather, get_time)


async def talk(
    client: Client, text: str = TWO_ROUNDS, tools: Toolset = TOOLS
) -> tuple[list[Event], RunResult]:
    """A new assistant answers on a new thread; all events, of tools without how long they took."""
    assistant = await client.assistants.create(model="qwen-max", name="tester")
    events: list[Event] = []
    async with client.stream(text, assistant_id=assistant.id, tools=tools) as stream:
        async for event in stream:
            done = isinstance(event, ToolFinished)
            events.append(replace(event, duration=0.0) if done else event)
        return events, await stream.result()
