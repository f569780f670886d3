"""A streamed run with function calls, by the vendor's own SDK."""

import json
import sys
from typing import Any

from dashscope import Assistants, Messages, Runs, Threads


def get_weather(city: str, unit: str = "c") -> str:
    """Current weather of a city."""
    return f"{city}: 21 °{unit.upper()}, sunny"


FUNCTIONS = {"get_weather": get_weather}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Current weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City name"},
                    "unit": {"type": "string", "enum": ["c", "f"], "default": "c"},
                },
                "required": ["city"],
            },
        },
    }
]


def answer_call(call: Any) -> dict[str, str]:
    """Run the function that the model asks for."""
    arguments = json.loads(call.function.arguments)
    output = FUNCTIONS[call.function.name](**arguments)
    return {"tool_call_id": call.id, "output": output}


def run_loop(question: str) -> str:
    """Ask, answer every round of calls, and return the text."""
    assistant = Assistants.create(model="qwen-plus", tools=TOOLS)
    thread = Threads.create()
    Messages.create(thread.id, content=question)

    text = ""
    events = Runs.create(thread.id, assistant_id=assistant.id, stream=True)
    while events is not None:
        waiting = None
        for event, data in events:
            if event == "thread.message.delta":
                text += data.delta.content.text.value
            elif event == "thread.run.requires_action":
                waiting = data
            elif event == "thread.run.failed":
                raise RuntimeError(data.last_error)
            elif event in (None, "error"):  # the request was refused, or the stream broke
                raise RuntimeError(data)
        events = None
        if waiting is not None:  # each round of outputs opens a new stream
            calls = waiting.required_action.submit_tool_outputs.tool_calls
            outputs = [answer_call(call) for call in calls]
            events = Runs.submit_tool_outputs(
                waiting.id, thread_id=thread.id, tool_outputs=outputs, stream=True
            )
    return text


if __name__ == "__main__":
    print(run_loop(sys.argv[1]))
