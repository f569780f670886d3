"""`aiodashassist demo`: the main job on this machine, every event shown as it happens."""

import time
from typing import Annotated

import anyio
from rich.console import Console
from rich.text import Text

from aiodashassist import (
    DashScope,
    ErrorEvent,
    Event,
    MessageDelta,
    MessageEvent,
    RunEvent,
    StepEvent,
    ThreadEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    tool,
)
from aiodashassist.server import LocalServer

__all__ = ("show_demo",)

QUESTION = """\
杭州今天适合散步吗? (Is Hangzhou good for a walk today?)
/call get_weather {"city": "杭州"}
/call get_air_quality {"city": "杭州"}
/then
/call suggest_walk {"weather": "晴, 24 °C", "air": 38}
"""


@tool
async def get_weather(city: Annotated[str, "City name"]) -> str:
    """Current weather of a city."""
    await anyio.sleep(0.3)
    return f"{city}: 晴, 24 °C"


@tool
def get_air_quality(city: Annotated[str, "City name"]) -> dict[str, str | int]:
    """Air quality index of a city; a plain function, which runs in a thread."""
    time.sleep(0.3)
    return {"city": city, "aqi": 38}


@tool
async def suggest_walk(weather: str, air: int) -> str:
    """Where to walk in this weather and air."""
    return f"西湖 (West Lake), since it is {weather} and the air is {air} 😀"


async def show_demo() -> None:
    """Start a local server, stream a run with two rounds of tools, and show all of it."""
    console = Console(highlight=False, soft_wrap=True)
    tools = [get_weather, get_air_quality, suggest_walk]
    async with LocalServer() as server, server.client(DashScope) as client:
        console.print(f"local server: {server.url} (no key, no network)", style="dim")
        assistant = await client.assistants.create(model="qwen-max", name="guide", tools=tools)
        console.print(f"assistant:    {assistant.id}", style="dim")
        console.print(QUESTION, style="italic", markup=False)
        began = time.monotonic()
        async with client.stream(QUESTION, assistant_id=assistant.id, tools=tools) as stream:
            async for event in stream:
                _show(console, event, time.monotonic() - began)
            result = await stream.result()
    console.print(f"\n{result.text}", style="bold", markup=False)
    calls, usage = len(result.tool_calls), result.usage
    total = usage.total_tokens if usage is not None else None
    console.print(f"\n{calls} tool calls, {total} tokens, run {result.run.id}", style="dim")


def _show(console: Console, event: Event, seconds: float) -> None:
    style, said = _line(event)
    line = Text(f"{seconds:6.3f}  ", style="dim")
    line.append(f"{event.name or type(event).__name__:<30}", style=style)
    line.append(said)
    console.print(line)


def _line(event: Event) -> tuple[str, str]:  # noqa: PLR0911 (one a kind)
    """The colour of an event, and what there is to say of it."""
    match event:
        case MessageDelta(text=text):
            return "green", repr(text) if text else "(end)"
        case ToolStarted(call=call):
            return "yellow", f"{call.name} {call.arguments}"
        case ToolProgress(call=call, data=data):
            return "yellow", f"{call.name}: {data}"
        case ToolFinished(call=call, output=output, duration=duration):
            return "yellow", f"{call.name} -> {output.output} ({duration:.2f} s)"
        case RunEvent(run=run):
            names = ", ".join(call.name for call in run.tool_calls)
            return "cyan", f"waits for {names}" if names else ""
        case StepEvent(step=step):
            return "blue", step.type or ""
        case MessageEvent(message=message):
            return "green", message.text
        case ThreadEvent(thread=thread):
            return "cyan", thread.id
        case ErrorEvent(code=code, message=message):
            return "red", f"{code}: {message}"
    return "white", ""
