"""Operations: one value for each request."""

from typing import Any

import pytest

from aiodashassist.core import operations
from aiodashassist.core.files import FileContent
from aiodashassist.core.models import Deleted, Model
from aiodashassist.core.operations import (
    CancelRun,
    CreateFiles,
    CreateThread,
    ListAssistants,
    ListFiles,
    Operation,
)

CONCRETE: list[type[Operation[Any]]] = [
    getattr(operations, name)
    for name in operations.__all__
    if name not in {"Operation", "ListOperation"}
]


@pytest.mark.parametrize("kind", CONCRETE)
def test_an_operation_names_its_result(kind: type[Operation[Any]]) -> None:
    """Every request says which object its answer is: of that name, or a deletion's."""
    assert issubclass(kind.result, Model | FileContent)
    assert (kind.result is Deleted) == kind.__name__.startswith(("Delete", "Detach"))


def test_operations_without_parameters_are_equal() -> None:
    """A request with nothing to say is a value, and shares its parameters with no other."""
    assert ListAssistants() == ListAssistants()
    assert ListAssistants().page is not ListAssistants().page
    assert CreateThread().params is not CreateThread().params
    assert ListFiles() == ListFiles()
    assert ListFiles().page is not ListFiles().page
    assert CreateFiles(files=()).params is not CreateFiles(files=()).params


def test_extras_are_part_of_the_value() -> None:
    """What is added to one request is added to no other."""
    bare = CancelRun(thread_id="t", run_id="r")
    added = CancelRun(thread_id="t", run_id="r", extras={"extra_query": {"a": 1}})

    assert bare.extras == {}
    assert bare.extras is not CancelRun(thread_id="t", run_id="r").extras
    assert bare != added
