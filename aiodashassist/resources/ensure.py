"""`client.assistants.ensure`: one assistant of a name, whoever asks for it first."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Assistant
from aiodashassist.core.params import AssistantParams, Extras
from aiodashassist.core.plain import plain
from aiodashassist.errors import AssistError, InvalidArgument, NotFound
from aiodashassist.pages import Paginator
from aiodashassist.session import Session

__all__ = ("CONFIG", "OnChange", "ensured")

logger = logging.getLogger(__name__)

OnChange = Literal["update", "create"]

CONFIG = "aiodashassist.config"  # the key in the metadata
CLEARED: Mapping[str, Any] = {"description": "", "instructions": "", "tools": []}
LARGEST_PAGE = 100  # assistants, so that looking takes few requests
READINGS = 5  # of a list that others change meanwhile
UNCOUNTED = ("extra_headers", "extra_query")  # they are of the request, not of the assistant


async def ensured(session: Session, params: AssistantParams, on_change: OnChange) -> Assistant:
    """The assistant of this name and configuration; made, or changed, where there is none."""
    if on_change not in ("update", "create"):
        raise InvalidArgument("on_change must be 'update' or 'create'")
    checks.identifier("name", params.get("name"))
    mark = _hash(params)
    wanted = _marked(params, mark)
    creation = ops.CreateAssistant(params=wanted)
    session.provider.encode(creation)  # what cannot be made is refused before anything is sent
    known = await _namesakes(session, params)
    same = _first(known, mark)
    if same is not None:
        return same
    if known and on_change == "update":
        oldest = known[0]
        # What is left out would stay as it was: an update changes only what it names (§2.1).
        gone = {name: value for name, value in CLEARED.items() if getattr(oldest, name)}
        changed = cast("AssistantParams", {**gone, **wanted})
        return await session.call(ops.UpdateAssistant(assistant_id=oldest.id, params=changed))
    made = await session.call(creation)
    first = _first(await _namesakes(session, params), mark)
    if first is None or first.id == made.id:
        return made
    await _drop(session, made, _extras(params))
    return first


def _marked(params: AssistantParams, mark: str) -> AssistantParams:
    """The parameters with our mark in their metadata."""
    metadata = params.get("metadata")
    if metadata is not None:
        checks.metadata(metadata)
    return cast("AssistantParams", {**params, "metadata": {**(metadata or {}), CONFIG: mark}})


def _extras(params: AssistantParams) -> Extras:
    """What every request of this call is given beside its own."""
    return cast("Extras", {name: params.get(name) for name in UNCOUNTED})


async def _namesakes(session: Session, params: AssistantParams) -> list[Assistant]:
    """The assistants of this name that were made here, the oldest first as the service lists.

    Others may delete theirs meanwhile, and with them the place where a page ended: then the list
    is read anew.
    """
    for _ in range(READINGS - 1):
        try:
            return await _listed(session, params)
        except NotFound as error:
            logger.debug("a list of assistants changed while it was read: %r", error)
    return await _listed(session, params)


async def _listed(session: Session, params: AssistantParams) -> list[Assistant]:
    found = Paginator(
        lambda page: session.call(ops.ListAssistants(page=page)),
        {"order": "asc", "page_size": LARGEST_PAGE, **_extras(params)},
    )
    return [
        assistant
        async for assistant in found
        if assistant.name == params["name"] and CONFIG in assistant.metadata
    ]


def _first(assistants: Sequence[Assistant], mark: str) -> Assistant | None:
    return next((one for one in assistants if one.metadata[CONFIG] == mark), None)


async def _drop(session: Session, made: Assistant, extras: Extras) -> None:
    """Delete what this call made: another was first, and everybody settles on that one."""
    try:
        await session.call(ops.DeleteAssistant(assistant_id=made.id, extras=extras))
    except AssistError as error:
        logger.warning("assistant %s is left over: %r", made.id, error)


def _hash(params: AssistantParams) -> str:
    """What the configuration is, in 64 characters; order and None do not count."""
    given = {k: v for k, v in params.items() if v is not None and k not in UNCOUNTED}
    try:
        text = msgspec.json.encode(given, order="sorted", enc_hook=plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"the configuration cannot be written as JSON: {error}") from error
    return hashlib.sha256(text).hexdigest()
