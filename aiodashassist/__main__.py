"""`python -m aiodashassist`, and the entry point `aiodashassist`."""

import sys


def main() -> None:
    """Run the command line; it needs the extra `cli`."""
    try:
        from aiodashassist.cli import run  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.exit("the command line needs an extra: pip install 'aiodashassist[cli]'")
    sys.exit(run())


if __name__ == "__main__":
    main()
