"""`python -m aiodashassist` without the extra that the command line needs."""

import sys

import pytest

from aiodashassist.__main__ import main


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core install has no command line; the message names the extra."""
    for name in [name for name in sys.modules if name.startswith("aiodashassist.cli")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    with pytest.raises(SystemExit, match="cli"):
        main()


def test_it_runs_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status of the command is the process's."""
    monkeypatch.setattr(sys, "argv", ["aiodashassist", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 2
