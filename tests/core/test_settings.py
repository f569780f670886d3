"""The clocks and bounds as the contract has them."""

from aiodashassist.core.settings import Limits, Retry, Timeouts


def test_the_clocks_are_those_of_the_contract() -> None:
    """Without a word the documented seconds hold."""
    assert Timeouts() == Timeouts(
        connect=10, read=60, first_event=60, idle=120, tool=None, cancel=5, total=None
    )


def test_the_bounds_are_those_of_the_contract() -> None:
    """Without a word 32 rounds of 16 calls at a time are allowed."""
    assert (Limits().max_rounds, Limits().concurrency) == (32, 16)
    assert (Limits().max_concurrent_requests, Limits().requests_per_minute) == (None, None)


def test_the_retries_are_those_of_the_contract() -> None:
    """Without a word a request has four attempts, and what was lost is looked up."""
    assert Retry() == Retry(
        attempts=4, first_delay=0.5, longest_delay=20, max_elapsed=60, budget=100, reconcile=True
    )
