"""A streamed run with function calls, by the vendor's own SDK."""

import json
import sys

import appbuilder
from appbuilder import AssistantEventHandler


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


class Handler(AssistantEventHandler):
    """Answers the calls, and keeps the text."""

    text = ""
    error = None

    def messages(self, event):
        """More of the answer."""
        self.text += event.content[-1].text.value

    def tool_calls(self, event):
        """Run the functions that the model asks for; the stream waits meanwhile."""
        context = self.stream_run_context
        outputs = []
        for call in context.current_tool_calls:
            arguments = json.loads(call.function.arguments)
            output = FUNCTIONS[call.function.name](**arguments)
            outputs.append({"tool_call_id": call.id, "output": output})
        appbuilder.assistant.threads.runs.submit_tool_outputs(
            run_id=context.current_run_id,
            thread_id=context.current_thread_id,
            tool_outputs=outputs,
        )

    def run_end(self, event):
        """The run rests."""
        self.error = event.details.run_object.last_error


def run_loop(question: str) -> str:
    """Ask, answer every round of calls, and return the text."""
    assistant = appbuilder.assistant.assistants.create("weather", "", tools=TOOLS)
    thread = appbuilder.assistant.threads.create()
    appbuilder.assistant.threads.messages.create(thread.id, question)
    handler = Handler()
    with appbuilder.assistant.threads.runs.stream_run_with_handler(
        assistant_id=assistant.id, thread_id=thread.id, event_handler=handler
    ) as stream:
        stream.until_done()
    if handler.error is not None:
        raise RuntimeError(handler.error)
    return handler.text


if __name__ == "__main__":
    print(run_loop(sys.argv[1]))
