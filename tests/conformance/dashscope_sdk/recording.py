"""What is watched of the SDK while the suite runs."""

from typing import Any

from recorder import Recorder, Sdk


def went_well(answer: Any) -> bool:
    """Whether an answer is no error; the SDK hides one behind None, or puts it into a stream."""
    if isinstance(answer, tuple):
        name, answer = answer
        return name is not None
    return answer is not None and getattr(answer, "status_code", 200) == 200


RECORDER = Recorder(
    Sdk(
        name="dashscope",
        modules=("dashscope.assistants", "dashscope.threads", "dashscope.files"),
        makes_calls=lambda cls: hasattr(cls, "SUB_PATH"),
        went_well=went_well,
        passed_on=("headers", "base_address", "request_timeout"),
    )
)
