"""Which parameters a call cannot do without."""

import pytest

from aiodashassist.core import params

INNER = {"MessageParams", "ThreadParams"}
"""Parts of a request: a message in a new thread, a thread in a new run."""


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("AssistantFields", set()),
        ("AssistantParams", set()),
        ("Extras", set()),
        ("FileListParams", set()),
        ("FileParams", set()),
        ("ListParams", set()),
        ("MessageExtras", set()),
        ("MessageParams", {"content"}),
        ("MessageUpdate", set()),
        ("MetadataUpdate", set()),
        ("RunParams", {"assistant_id"}),
        ("ThreadCreation", set()),
        ("ThreadParams", set()),
    ],
)
def test_only_what_a_call_needs_is_required(name: str, required: set[str]) -> None:
    """A message has content and a run an assistant; all else may be left out."""
    assert name in params.__all__
    assert getattr(params, name).__required_keys__ == required


@pytest.mark.parametrize("name", [name for name in params.__all__ if name not in INNER])
def test_every_request_can_be_given_more(name: str) -> None:
    """Whatever is one request takes body, headers and query of its own."""
    fields = getattr(params, name).__annotations__.keys()

    assert {"extra_body", "extra_headers", "extra_query"} <= fields


@pytest.mark.parametrize("name", sorted(INNER))
def test_what_is_inside_of_a_request_has_nothing_of_the_kind(name: str) -> None:
    """A message or a thread in another request is a value: it is not searched for extras."""
    fields = getattr(params, name).__annotations__.keys()

    assert fields.isdisjoint(params.Extras.__annotations__)
