"""The loop that the vendor documents, written for the vendor's SDK."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from appbuilder_sdk import vendor_loop

CITY = '/call get_weather {"city": "%s"}'


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Hello, 你好!", "Hello, 你好!"),
        (CITY % "杭州", "get_weather -> 杭州: 21 °C, sunny"),
        (
            '/call get_weather {"city": "Xi\'an", "unit": "f"}\n' + CITY % "Paris",
            "get_weather -> Xi'an: 21 °F, sunny\nget_weather -> Paris: 21 °C, sunny",
        ),
        (
            f"{CITY % 'Oslo'}\n{CITY % 'Rome'}\n/then\n{CITY % 'Paris'}\n/say Off to Paris.",
            "Off to Paris.",
        ),
        (
            f"/say One moment:\n{CITY % 'Oslo'}\n/then\n{CITY % 'Paris'}",
            "One moment:get_weather -> Paris: 21 °C, sunny",
        ),
    ],
    ids=["no call", "one call", "parallel calls", "two rounds", "text before a round"],
)
def test_loop_answers_every_round(question: str, answer: str) -> None:
    """The documented handler follows any number of rounds in one stream."""
    assert vendor_loop.run_loop(question) == answer


def test_loop_hears_of_a_failure() -> None:
    """A run that fails after a round tells the loop its type and message."""
    with pytest.raises(RuntimeError, match=r"rate_limit_exceeded.*slow down"):
        vendor_loop.run_loop(f"{CITY % 'Oslo'}\n/then\n/fail rate_limit_exceeded slow down")


def test_loop_runs_unchanged_as_a_script(server: str) -> None:
    """A program for the real service needs two environment variables and no other change."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(vendor_loop.__file__)), CITY % "杭州"],
        env={
            **os.environ,
            "GATEWAY_URL": server,
            "APPBUILDER_TOKEN": "any-key",
            "PYTHONIOENCODING": "utf-8",
        },
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout == "get_weather -> 杭州: 21 °C, sunny\n"
