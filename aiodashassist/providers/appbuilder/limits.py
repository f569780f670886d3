"""The limits that AppBuilder documents (appbuilder.md §2, §3), checked before anything is sent.

The server checks the same ones, and what only the service is strict about in `asking.py`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from aiodashassist.core import checks
from aiodashassist.core.outputs import check_outputs
from aiodashassist.core.plain import cause
from aiodashassist.core.tooling import FunctionTool, PluginTool, RagTool, ToolOutput
from aiodashassist.errors import InvalidArgument, UnsupportedParameter

__all__ = ("LONGEST_PAGE", "check")

NAME = re.compile(r"[\u4e00-\u9fa50-9a-zA-Z_-]{1,128}")
DESCRIPTION = 512  # characters
INSTRUCTIONS = 4096  # characters
MOST = 10  # tools of an assistant; files of one and of a message
LONGEST_PAGE = 20  # messages, and files of one (§2.4, §7 #1); other lists have no known limit
RANGES = {"temperature": "(0, 1]", "top_p": "[0, 1]", "penalty_score": "[1, 2]"}  # (§3.8, §7 #13)
FORMATS = ("text", "json_object")
ROLES = ("user", "assistant")
USER_INFO = ("id", "name", "nickname", "watermark", "intro", "baidu_id")
USER_LOC = ("loc", "uip", "uipv6")


def check(given: Mapping[str, Any]) -> None:
    """What is given, by our names; None is not given.

    Raises:
        InvalidArgument: a value beyond its limit, in messages and threads inside too.
        UnsupportedParameter: a tool that only another API has.
    """
    if not isinstance(given, Mapping):
        raise InvalidArgument(f"expected an object, not {type(given).__name__}")
    for name, value in given.items():
        if value is not None and name in CHECKS:
            CHECKS[name](name, value)


def _text(name: str, value: Any, most: int) -> None:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a text, not {type(value).__name__}")
    if len(value) > most:
        raise InvalidArgument(f"{name} has {len(value)} characters; at most {most}")


def _check_instructions(name: str, value: Any) -> None:
    _text(name, value, INSTRUCTIONS)


def _check_name(name: str, value: Any) -> None:
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise InvalidArgument(
            f"{name} must have 1 to 128 letters, digits, Chinese characters, '_' or '-'"
        )


def _items(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise InvalidArgument(f"{name} must be a list, not {type(value).__name__}")
    return value


def _few(name: str, value: Any) -> Sequence[Any]:
    items = _items(name, value)
    if len(items) > MOST:
        raise InvalidArgument(f"{name} has {len(items)} items; at most {MOST}")
    return items


def _check_file_ids(name: str, value: Any) -> None:
    for file_id in _few(name, value):
        checks.identifier(name, file_id)


def _check_tools(name: str, value: Any) -> None:
    """Only functions are documented (§3.2); a plain dict is the caller's own business."""
    for tool in _items(name, value):
        if isinstance(tool, PluginTool | RagTool):
            raise UnsupportedParameter(f"AppBuilder has no tools of type {tool.type!r} in {name}")
        if not isinstance(tool, FunctionTool | Mapping):
            raise InvalidArgument(f"{name} must be declarations, not {type(tool).__name__}")


def _check_messages(name: str, value: Any) -> None:
    for message in _items(name, value):
        check(message)
        if message.get("content") is None:
            raise InvalidArgument(f"a message in {name} needs content")


def _check_content(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a text, not {type(value).__name__}")


def _check_cursor(name: str, value: Any) -> None:
    """An id; the empty text is what the official SDK sends for none (§2)."""
    if value != "":
        checks.identifier(name, value)


def _plain(name: str, value: Any, known: Sequence[str]) -> Mapping[str, Any]:
    """An object, with no names but these: the SDK's own classes refuse others (§3.8)."""
    try:
        plain = msgspec.to_builtins(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"{name} cannot be written as JSON: {error}") from cause(error)
    if not isinstance(plain, Mapping):
        raise InvalidArgument(f"{name} must be an object, not {type(value).__name__}")
    for key in plain:
        if key not in known:
            raise InvalidArgument(f"{name} has no {key!r}; it has {', '.join(known)}")
    return plain


def _check_texts(known: Sequence[str]) -> Callable[[str, Any], None]:
    def check_texts(name: str, value: Any) -> None:
        for key, text in _plain(name, value, known).items():
            if text is not None and not isinstance(text, str):
                raise InvalidArgument(f"{name}.{key} must be a text, not {type(text).__name__}")

    return check_texts


def _check_parameters(name: str, value: Any) -> None:
    for part, given in _plain(name, value, ("chat_parameters", "thought_parameters")).items():
        if given is None:
            continue
        for key, number in _plain(f"{name}.{part}", given, tuple(RANGES)).items():
            if number is not None:
                checks.between(f"{name}.{part}.{key}", number, RANGES[key])


def _check_output(name: str, value: Any) -> None:
    if not isinstance(value, ToolOutput):
        raise InvalidArgument(f"{name} must be a ToolOutput, not {type(value).__name__}")
    check_outputs(name, (value,))


def _check_outputs(name: str, value: Any) -> None:
    if not _items(name, value):
        raise InvalidArgument(f"{name} needs at least one output")


def _check_metadata(name: str, value: Any) -> None:
    """Texts only (§3.1)."""
    checks.metadata(value)
    for key, text in value.items():
        if not isinstance(text, str):
            raise InvalidArgument(f"{name}[{key!r}] must be a text, not {type(text).__name__}")


def _check_sync(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidArgument(f"{name} must be True or False, not {type(value).__name__}")


CHECKS: dict[str, Callable[[str, Any], None]] = {
    "assistant_id": checks.identifier,
    "model": _check_content,
    "name": _check_name,
    "description": lambda name, value: _text(name, value, DESCRIPTION),
    "instructions": _check_instructions,
    "thought_instructions": _check_instructions,
    "chat_instructions": _check_instructions,
    "response_format": lambda name, value: checks.one_of(name, value, FORMATS),
    "tools": lambda name, value: _check_tools(name, _few(name, value)),
    "override_tools": _check_tools,
    "file_ids": _check_file_ids,
    "metadata": _check_metadata,
    "role": lambda name, value: checks.one_of(name, value, ROLES),
    "content": _check_content,
    "messages": _check_messages,
    "additional_messages": _check_messages,
    "thread": lambda _, value: check(value),
    "order": lambda name, value: checks.one_of(name, value, ("asc", "desc")),
    "page_size": lambda name, value: checks.whole(name, value, "[1, inf)"),
    "after": _check_cursor,
    "before": _check_cursor,
    "temperature": lambda name, value: checks.between(name, value, RANGES["temperature"]),
    "top_p": lambda name, value: checks.between(name, value, RANGES["top_p"]),
    "model_parameters": _check_parameters,
    "tool_output": _check_output,
    "tool_outputs": _check_outputs,
    "user_info": _check_texts(USER_INFO),
    "user_loc": _check_texts(USER_LOC),
    "sync": _check_sync,
}
