"""Names of files that travel in headers: reading them, and making them safe to keep.

https://www.rfc-editor.org/rfc/rfc6266 and, for forms, https://www.rfc-editor.org/rfc/rfc7578.
"""

import re
from urllib.parse import quote, unquote

__all__ = ("attachment", "parameters", "safe_name")

PARAMETER = re.compile(
    r"""; \s* (?P<key> name | filename\*? ) \s* = \s*
    (?: "(?P<quoted> .*? ) (?: (?<!\\)" (?= \s* (?: ; | \Z )) | " (?= \s* \Z ))
    | (?P<bare> [^\s";]+ (?: \s+ [^\s";]+ )* (?= \s* (?: ; | \Z )) ) )""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# What a file system, or a terminal that prints the name, takes for something else.
UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"|?*\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]'
)
# Devices on Windows, whatever their ending.
RESERVED = re.compile(r"(con|prn|aux|nul|con(in|out)\$|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)
LONGEST = 200  # bytes; file systems take 255, and the name may get a number
TOKEN = re.compile(r"[A-Za-z0-9._-]+")


def parameters(header: str) -> dict[str, str]:
    """`name` and `filename` of a Content-Disposition, in lower case; `filename*` wins.

    Browsers and the SDKs write all but quotes and line breaks as they are, backslashes and
    semicolons too; others put a backslash before a quote, or give a `filename*`.
    """
    found: dict[str, str] = {}
    for match in PARAMETER.finditer(header):
        key, quoted = match["key"].lower(), match["quoted"]
        value = match["bare"] if quoted is None else quoted.replace('\\"', '"')
        if key == "filename*":
            found["filename"] = unquote(value.rpartition("'")[2])
        else:
            found.setdefault(key, value)
    return found


def safe_name(given: str | None, usual: str) -> str:
    """A name for a file in a folder, whatever a service says: no path, no device, no control.

    Args:
        given: as it came; None or nothing usable gives `usual`.
        usual: another, which is made safe too; where nothing of it is left, `file`.
    """
    for name in (given or "", usual):
        last = re.split(r"[/\\]", name)[-1]
        clean = UNSAFE.sub("_", last).strip(" .") if last.strip(" .") else ""
        if clean.strip("_"):
            clean = _shortened(clean)
            return f"_{clean}" if RESERVED.fullmatch(clean) else clean
    return "file"


def attachment(filename: str, plain: str) -> str:
    """A Content-Disposition for a file; `plain` stands for a name that is no token.

    The plain name comes last and without quotes: AppBuilder's SDK takes all that stands after
    the last `filename=` (appbuilder.md §2.2).
    """
    if TOKEN.fullmatch(filename) and filename.strip("."):  # `.` and `..` are folders
        return f"attachment; filename={filename}"
    encoded = quote(filename.encode("utf-8", "replace"), safe="")
    return f"attachment; filename*=UTF-8''{encoded}; filename={plain}"


def _shortened(name: str) -> str:
    """At most `LONGEST` bytes; the ending stays, unless it is no ending."""
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    kept = f"{dot}{ending}" if stem and len(ending.encode()) <= 20 else ""
    short = (stem if kept else name).encode()[: LONGEST - len(kept.encode())]
    return short.decode("utf-8", "ignore").rstrip(" .") + kept
