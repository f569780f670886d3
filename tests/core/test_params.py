"""Which parameters a call cannot do without."""

import pytest

from aiodashassist.core import params


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("AssistantParams", set()),
        ("ListParams", set()),
        ("MessageExtras", set()),
        ("MessageParams", {"content"}),
        ("MessageUpdate", set()),
        ("RunParams", {"assistant_id"}),
        ("ThreadParams", set()),
    ],
)
def test_only_what_a_call_needs_is_required(name: str, required: set[str]) -> None:
    """A message has content and a run an assistant; all else may be left out."""
    assert name in params.__all__
    assert getattr(params, name).__required_keys__ == required
