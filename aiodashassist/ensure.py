"""`client.assistants.ensure`: one assistant of a name, whoever asks for it first."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from aiodashassist.calls import Session
from aiodashassist.core import checks
from aiodashassist.core import operations as ops
from aiodashassist.core.models import Assistant
from aiodashassist.core.params import AssistantParams, Extras
from aiodashassist.core.plain import plain
from aiodashassist.errors import AssistError, InvalidArgument, NotFound, OutcomeUnknown
from aiodashassist.pages import Paginator

__all__ = ("CONFIG", "OnChange", "ensured")

logger = logging.getLogger(__name__)

OnChange = Literal["update", "create"]

CONFIG = "aiodashassist.config"  # the key in the metadata
CLEARED: Mapping[str, Any] = {"description": "", "instructions": "", "tools": []}
KEPT = ("file_ids", "temperature", "top_p", "top_k", "max_tokens")  # what no update clears
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
    one = _chosen(await _namesakes(session, params), mark, on_change)
    if one is None:
        try:
            made = await session.call(creation)
        except OutcomeUnknown:
            one = _chosen(await _namesakes(session, params), mark, on_change)
            if one is None:
                raise
        else:
            one = _chosen(await _namesakes(session, params), mark, on_change)
            if one is None or one.id == made.id:
                return made
            await _drop(session, made, _extras(params))
    if one.metadata[CONFIG] == mark:
        return one
    if not session.provider.replaces:
        wanted = _clearing(one, wanted)
    return await session.call(ops.UpdateAssistant(assistant_id=one.id, params=wanted))


def _chosen(known: Sequence[Assistant], mark: str, on_change: OnChange) -> Assistant | None:
    """The one that everybody settles on; nobody ever drops it.

    Where one is updated it is the oldest: a younger one that fits may be about to be dropped.
    """
    if on_change == "update":
        return known[0] if known else None
    return next((one for one in known if one.metadata[CONFIG] == mark), None)


def _clearing(one: Assistant, wanted: AssistantParams) -> AssistantParams:
    """The parameters with what clears the rest: an update changes only what it names (§2.1)."""
    gone = {name: value for name, value in CLEARED.items() if getattr(one, name)}
    left = [name for name in KEPT if getattr(one, name) and wanted.get(name) is None]
    if left:
        logger.warning("assistant %s keeps its %s: they cannot be cleared", one.id, ", ".join(left))
    return cast("AssistantParams", {**gone, **wanted})


def _marked(params: AssistantParams, mark: str) -> AssistantParams:
    """The parameters with our mark in their metadata."""
    metadata = params.get("metadata")
    if metadata is not None:
        checks.metadata(metadata)
        if len(metadata) >= checks.METADATA_PAIRS:
            raise InvalidArgument("metadata can have 15 pairs: ensure keeps one of its own")
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
        {"order": "asc", "page_size": session.provider.largest_page, **_extras(params)},
    )
    return [
        assistant
        async for assistant in found
        if assistant.name == params["name"] and CONFIG in assistant.metadata
    ]


async def _drop(session: Session, made: Assistant, extras: Extras) -> None:
    """Delete what this call made: another was first, and everybody settles on that one."""
    try:
        await session.call(ops.DeleteAssistant(assistant_id=made.id, extras=extras))
    except NotFound:
        pass  # gone already
    except AssistError as error:
        logger.warning("assistant %s is left over: %r", made.id, error)


def _hash(params: AssistantParams) -> str:
    """What the configuration is, in 64 characters; order and None do not count."""
    given = {k: v for k, v in params.items() if v is not None and k not in UNCOUNTED}
    text, said = b"", ""
    try:
        text = msgspec.json.encode(given, order="sorted", enc_hook=plain)
    except (TypeError, ValueError, RecursionError) as error:
        said = str(error) or type(error).__name__
    if said:  # outside the handler: what lies beneath holds the configuration
        raise InvalidArgument(f"the configuration cannot be written as JSON: {said}")
    return hashlib.sha256(text).hexdigest()
