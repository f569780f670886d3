"""Where the transcripts are; what they are and whence, their README tells."""

from pathlib import Path

DASHSCOPE = Path(__file__).parent / "dashscope"
