"""Where AppBuilder's transcripts are; what they are and whence, the README above tells."""

from pathlib import Path

APPBUILDER = Path(__file__).parent
