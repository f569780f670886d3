"""Operations: one value for each request."""

from typing import Any

import pytest

from aiodashassist.core import operations
from aiodashassist.core.models import Deleted, Model
from aiodashassist.core.operations import CreateThread, ListAssistants, Operation

CONCRETE: list[type[Operation[Any]]] = [
    getattr(operations, name)
    for name in operations.__all__
    if name not in {"Operation", "ListOperation"}
]


@pytest.mark.parametrize("kind", CONCRETE)
def test_an_operation_names_its_result(kind: type[Operation[Any]]) -> None:
    """Every request says which object its answer is: of that name, or a deletion's."""
    assert issubclass(kind.result, Model)
    assert (kind.result is Deleted) == kind.__name__.startswith("Delete")


def test_operations_without_parameters_are_equal() -> None:
    """A request with nothing to say is a value, and shares its parameters with no other."""
    assert ListAssistants() == ListAssistants()
    assert ListAssistants().page is not ListAssistants().page
    assert CreateThread().params is not CreateThread().params
