"""Names of files in headers: read as any sender writes them, and safe wherever they are kept."""

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.core.disposition import LONGEST, attachment, parameters, safe_name
from tests.core.scaling import growth

# --- reading ---


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", {}),
        ("attachment", {}),
        ('form-data; name="files"', {"name": "files"}),
        ('form-data; name="files"; filename=""', {"name": "files", "filename": ""}),
        ("attachment; filename=a.txt", {"filename": "a.txt"}),
        ("attachment;filename=a.txt;x=y", {"filename": "a.txt"}),
        ('FORM-DATA;NAME="f";FileName="A.txt" ', {"name": "f", "filename": "A.txt"}),
        ('attachment; filename = "a.txt" ; name=n', {"filename": "a.txt", "name": "n"}),
        ('attachment; filename="天气 报告.txt"', {"filename": "天气 报告.txt"}),
        ('attachment; filename="a;b;c.txt"', {"filename": "a;b;c.txt"}),
        ('attachment; filename="a; name=x; filename=y"', {"filename": "a; name=x; filename=y"}),
        ('attachment; filename="100%22.txt"', {"filename": "100%22.txt"}),
        ('attachment; filename="a\\"b.txt"', {"filename": 'a"b.txt'}),
        ('attachment; filename="a\\"b"; name="n"', {"filename": 'a"b', "name": "n"}),
        ('attachment; filename="C:\\dir\\a.txt"', {"filename": "C:\\dir\\a.txt"}),
        ('attachment; filename="dir\\"', {"filename": "dir\\"}),
        ('attachment; filename="dir\\" ', {"filename": "dir\\"}),
        ('attachment; filename="a\nb"', {"filename": "a\nb"}),
        ('attachment; filename="open', {}),
        ("attachment; filename=", {}),
        ("attachment; filename=a b  c.txt", {"filename": "a b  c.txt"}),
        ("attachment; filename=a b.txt ; name=n m ", {"filename": "a b.txt", "name": "n m"}),
        ('attachment; filename=a "b"', {}),
        ("attachment; filename=a; filename=b", {"filename": "a"}),
        ("attachment; filename*=UTF-8''%E5%90%8D.txt", {"filename": "名.txt"}),
        ("attachment; filename*=utf-8'zh'a%2Fb.txt", {"filename": "a/b.txt"}),
        ("attachment; filename*=\"UTF-8''%41\"", {"filename": "A"}),
        ("attachment; filename*=UTF-8''%FF", {"filename": "\ufffd"}),
        ("attachment; filename*=%41", {"filename": "A"}),
    ],
)
def test_a_header_has_its_name_and_its_file_s(header: str, found: dict[str, str]) -> None:
    """As browsers, the SDKs and RFC 6266 write it; what cannot be read is not there."""
    assert parameters(header) == found


@pytest.mark.parametrize(
    "header",
    [
        "attachment; filename=x; filename*=UTF-8''%E5%90%8D",
        "attachment; filename*=UTF-8''%E5%90%8D; filename=x",
        "attachment; filename=\"x\"; filename*=UTF-8''%E5%90%8D",
    ],
)
def test_the_name_that_any_character_fits_in_wins(header: str) -> None:
    """`filename*` is the real name, wherever it stands."""
    assert parameters(header) == {"filename": "名"}


@given(st.text(max_size=60))
def test_any_header_can_be_read(header: str) -> None:
    """No header is an error; there are at most two parameters of interest."""
    for text in (header, f'x; filename="{header}', f"x; filename*={header}; name={header}"):
        assert parameters(text).keys() <= {"name", "filename"}


LONG = {
    "blanks": lambda size: "; filename=a" + " " * size + '"',
    "words": lambda size: "; filename=a" + "  a" * size + '"',
    "many": lambda size: "; name=a" * size,
    "quotes": lambda size: '; filename="' + '" ' * size + "a",
}


@pytest.mark.slow
@pytest.mark.parametrize("header", LONG.values(), ids=LONG)
def test_a_long_header_takes_linear_time(header: Callable[[int], str]) -> None:
    """A header twice as long takes about twice the time, whatever stands in it."""
    texts = {size: header(size) for size in (4000, 8000)}

    assert growth(lambda size: parameters(texts[size]), 4000) < 3


# --- writing ---


@pytest.mark.parametrize(
    ("filename", "header"),
    [
        ("a.txt", "attachment; filename=a.txt"),
        ("A-1_b.tar.gz", "attachment; filename=A-1_b.tar.gz"),
        ("名.txt", "attachment; filename*=UTF-8''%E5%90%8D.txt; filename=file.txt"),
        ("a b", "attachment; filename*=UTF-8''a%20b; filename=file.txt"),
        ("a;b", "attachment; filename*=UTF-8''a%3Bb; filename=file.txt"),
        ("a'b", "attachment; filename*=UTF-8''a%27b; filename=file.txt"),
        ("a\r\nX: y", "attachment; filename*=UTF-8''a%0D%0AX%3A%20y; filename=file.txt"),
        ("a\n", "attachment; filename*=UTF-8''a%0A; filename=file.txt"),
        ("a/b", "attachment; filename*=UTF-8''a%2Fb; filename=file.txt"),
        ("x\ud800", "attachment; filename*=UTF-8''x%3F; filename=file.txt"),
    ],
)
def test_a_file_s_header_ends_with_a_plain_name(filename: str, header: str) -> None:
    """AppBuilder's SDK takes all that stands after the last `filename=` (appbuilder.md §2.2)."""
    assert attachment(filename, "file.txt") == header
    assert header.rpartition("filename=")[2] in (filename, "file.txt")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_comes_back(filename: str) -> None:
    """What is written in a header is read as it was, and the header is one line of ASCII."""
    header = attachment(filename, "file")

    assert header.isascii()
    assert header.isprintable()
    assert parameters(header) == {"filename": filename}


# --- safe names ---


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("报告 终.docx", "报告 终.docx"),
        (".bashrc", "bashrc"),
        ("a..txt", "a..txt"),
        ("-rf", "-rf"),
        ("😀.png", "😀.png"),
        # paths of either kind
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\dir\\a.txt", "a.txt"),
        ("a/b\\c", "c"),
        ("C:evil.txt", "C_evil.txt"),
        ("a.txt::$DATA", "a.txt__$DATA"),
        # controls, and what turns the direction of writing round
        ("a\0.txt", "a_.txt"),
        ("a\r\nb\t.txt", "a__b_.txt"),
        ("\x1b[2Ja", "_[2Ja"),
        ("a\x7f\x85\x9fb", "a___b"),
        ("a\u2028b\u2029c", "a_b_c"),
        ("gpj\u202eexe.txt", "gpj_exe.txt"),
        ("\u2066a\u2069", "_a_"),
        ('<a>:"b|?*', "_a___b___"),
        # half a pair has no bytes
        ("a\ud800b", "a_b"),
        ("\udfffa", "_a"),
        # what Windows does not keep, or takes for a device
        ("a. . ", "a"),
        (" a ", "a"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1.tar.gz", "_Com1.tar.gz"),
        ("lpt9", "_lpt9"),
        ("aux.", "_aux"),
        ("console.txt", "console.txt"),
        ("con .txt", "_con .txt"),
        ("COM¹.txt", "_COM¹.txt"),
        ("conin$", "_conin$"),
        ("a\u200eb\u200fc\u061cd", "a_b_c_d"),
        ("com10", "com10"),
        ("a.nul", "a.nul"),
    ],
)
def test_a_name_is_made_safe(given_name: str, safe: str) -> None:
    """The last segment of a path, without what a file system takes for something else."""
    assert safe_name(given_name, "usual") == safe


@pytest.mark.parametrize(
    "nothing", [None, "", ".", "..", "...", " ", " . ", "/", "a/", "dir\\", "../", "\0", "_", "?*",
                "\u202e.", "\ud800"],
)  # fmt: skip
def test_a_name_of_which_nothing_is_left_gives_the_usual_one(nothing: str | None) -> None:
    """That is made safe like any other; where nothing is left of both, it is `file`."""
    assert safe_name(nothing, "usual.txt") == "usual.txt"
    assert safe_name(nothing, "../nul") == "_nul"
    assert safe_name(nothing, "..") == "file"
    assert safe_name(nothing, nothing or "") == "file"


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        ("x" * 180 + "." + "y" * 20, "x" * 179 + "." + "y" * 20),
        ("x" * 10 + "." + "y" * 300, "x" * 10 + "." + "y" * 189),
        ("名" * 100, "名" * 66),
        ("名" * 100 + ".文档", "名" * 64 + ".文档"),
        ("😀" * 51, "😀" * 50),
        ("x" + "名" * 100, "x" + "名" * 66),
        ("." + "x" * 300, "x" * 200),
        ("x" * 199 + "." + "y" * 50, "x" * 199),
        ("x" * 199 + " " + "y" * 50, "x" * 199),
        ("x" * 195 + " " + "y" * 50 + ".txt", "x" * 195 + ".txt"),
    ],
)
def test_a_long_name_is_cut_in_bytes(given_name: str, safe: str) -> None:
    """No character is cut through, and an ending that is one stays."""
    assert safe_name(given_name, "usual") == safe


WILD = st.text(
    st.sampled_from('./\\:*?"<>| _acnoulmp1\0\r\n\u202e\u2066\ud800名😀') | st.characters(),
    max_size=300,
)


@given(WILD, WILD)
def test_every_name_is_safe(given_name: str, usual: str) -> None:
    """Never a path, a device, a control, half a pair, nothing, or too long; and it stays so."""
    name = safe_name(given_name, usual)

    assert name == name.strip(" .")
    assert name
    assert not re.search(r'[/\\<>:"|?*]', name)
    assert not {unicodedata.category(character) for character in name} & {"Cc", "Cs", "Zl", "Zp"}
    assert name.partition(".")[0].lower() not in ("con", "prn", "aux", "nul", "com1", "lpt1")
    assert len(name.encode()) <= LONGEST + 1
    assert safe_name(name, "usual") in (name, "usual")
