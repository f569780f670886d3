"""Tools of a module whose annotations are strings until they are looked up."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from aiodashassist import ToolContext


class Place(Struct):
    """Where."""

    city: str
    zone: int = 8


def forecast(
    ctx: ToolContext[int],
    place: Place,
    unit: Annotated[Literal["c", "f"], "Scale"] = "c",
    days: int | None = None,
) -> str:
    """Weather to come."""
    return f"{ctx.deps} {place.city} {place.zone} {unit} {days}"
