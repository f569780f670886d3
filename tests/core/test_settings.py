"""The clocks and bounds as the contract has them."""

from aiodashassist.core.settings import Limits, Timeouts


def test_the_clocks_are_those_of_the_contract() -> None:
    """Without a word the documented seconds hold."""
    assert Timeouts() == Timeouts(
        connect=10, read=60, first_event=60, idle=120, tool=None, cancel=5, total=None
    )


def test_the_bounds_are_those_of_the_contract() -> None:
    """Without a word 32 rounds of 16 calls at a time are allowed."""
    assert (Limits().max_rounds, Limits().concurrency) == (32, 16)
