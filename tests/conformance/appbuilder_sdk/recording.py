"""What is watched of the SDK while the suite runs."""

from typing import Any

from appbuilder import AssistantStreamManager
from appbuilder.core.assistant.type.thread_type import StreamRunMessage, StreamRunStatus
from recorder import Recorder, Sdk


def makes_calls(cls: type) -> bool:
    """Whether an object of a class has a client of its own."""
    code = getattr(cls.__init__, "__code__", None)
    return code is not None and "AssistantHTTPClient" in code.co_names


def went_well(answer: Any) -> bool:
    """Whether an answer is what was asked for: an error is raised, but not by a stream."""
    if isinstance(answer, AssistantStreamManager):
        return "event-stream" in answer._response.headers["Content-Type"]
    if isinstance(answer, StreamRunStatus):
        return answer.event_type == "run_end"
    return not isinstance(answer, StreamRunMessage)


RECORDER = Recorder(
    Sdk(
        name="appbuilder",
        modules=("appbuilder.core.assistant",),
        makes_calls=makes_calls,
        went_well=went_well,
    )
)
