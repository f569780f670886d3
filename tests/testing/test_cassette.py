"""aiodashassist/testing/cassette.py."""

import json
import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodashassist.errors import ConfigError
from aiodashassist.testing import Cassette, CassetteError, NotRecorded
from aiodashassist.testing.cassette import (
    Answered,
    Asked,
    Body,
    Exchange,
    Failed,
    FormFile,
    FormSent,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEADERS = st.dictionaries(TEXTS, TEXTS, max_size=3)
SECONDS = st.integers(0, 10**6).map(lambda number: number / 1000)
BODIES = st.binary(max_size=60) | TEXTS.map(str.encode)
FILES = st.builds(FormFile, field=TEXTS, filename=TEXTS, size=st.none() | st.integers(0, 10**12))
FORMS = st.builds(
    FormSent,
    fields=st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    files=st.lists(FILES, max_size=2).map(tuple),
)
ASKED = st.builds(
    Asked,
    operation=TEXTS,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=TEXTS,
    query=HEADERS,
    body=st.none() | BODIES.map(Body.of),
    form=st.none() | FORMS,
)
FAILED = st.builds(
    Failed,
    kind=st.sampled_from(["refused", "lost", "silent", "left"]),
    words=TEXTS,
    after=SECONDS,
)


@st.composite
def answers(draw: st.DrawFn) -> Answered:
    """Any answer, in pieces that make up its body; the only exchange waits for itself."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=20), max_size=4))
    times = draw(st.lists(SECONDS, min_size=len(pieces), max_size=len(pieces)))
    return Answered(
        status=draw(st.integers(200, 599)),
        headers=draw(HEADERS),
        raw_headers=draw(st.dictionaries(TEXTS, st.binary(max_size=9), max_size=1)),
        body=Body.of(b"".join(pieces)),
        chunks=tuple(map(len, pieces)) if len(pieces) > 1 else (),
        waits=draw(st.dictionaries(st.integers(0, 9), st.just(0), max_size=2)),
        end=draw(st.sampled_from(["whole", "broken", "silent", "left"])),
        words=draw(TEXTS),
        began=draw(SECONDS),
        times=draw(st.sampled_from([(), tuple(times)])),
        ended=draw(SECONDS),
    )


EXCHANGES = st.builds(Exchange, request=ASKED, answer=answers()) | st.builds(
    Exchange, request=ASKED, failure=FAILED
)


def cassette(*exchanges: Exchange) -> Cassette:
    """A cassette of these."""
    return Cassette("DashScope", exchanges)


def written(path: Path, **changes: Any) -> Path:
    """A file with one exchange whose answer is changed so."""
    exchange = Exchange(
        request=Asked(operation="X", method="GET", path="/x"),
        answer=Answered(status=200, body=Body.of(b"abc")),
    )
    cassette(exchange).save(path)
    content = json.loads(path.read_text())
    content["exchanges"][0]["answer"].update(changes)
    path.write_text(json.dumps(content))
    return path


@given(exchanges=st.lists(EXCHANGES, max_size=3))
def test_what_is_saved_is_loaded(
    exchanges: list[Exchange], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any exchanges come out of a file as they went in."""
    path = tmp_path_factory.mktemp("cassettes") / "in" / "folders" / "c.json"
    cassette(*exchanges).save(path)
    loaded = Cassette.load(path)

    assert loaded.exchanges == tuple(exchanges)
    assert loaded.provider == "DashScope"


@given(data=BODIES)
def test_a_body_keeps_its_bytes(data: bytes) -> None:
    """Bytes are the same after they stood on a cassette, text or not."""
    assert Body.of(data).data == data


def test_text_is_kept_by_line() -> None:
    """A text can be read and compared line by line; its lines keep their breaks."""
    assert Body.of("event:x\r\ndata:天气\n\n".encode()).text == (
        "event:x\r\n",
        "data:天气\n",
        "\n",
    )
    assert Body.of(b"\xff\n") == Body(base64=b"\xff\n")
    assert Body.of(b"") == Body()


@given(sizes=st.lists(st.integers(1, 9), max_size=6))
def test_an_answer_is_cut_as_it_came(sizes: list[int]) -> None:
    """The pieces are the body, cut at the recorded lengths."""
    data = bytes(sum(sizes))
    chunks = tuple(sizes) if len(sizes) > 1 else ()
    pieces = Answered(status=200, body=Body.of(data), chunks=chunks).pieces()

    assert [len(piece) for piece in pieces] == sizes


def test_a_file_is_for_people(tmp_path: Path) -> None:
    """A file has a version, is indented, and has a list of numbers on one line."""
    answer = Answered(status=200, body=Body.of(b"a [\n 1\n] b"), chunks=(3, 4, 3))
    exchange = Exchange(request=Asked(operation="X", method="GET", path="/x"), answer=answer)
    cassette(exchange).save(tmp_path / "c.json")
    text = (tmp_path / "c.json").read_text()

    assert '"cassette": 1' in text
    assert '"chunks": [ 3, 4, 3 ]' in text
    assert '"a [\\n",\n' in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no cassette"),
        (b"{}", "is no cassette"),
        (b"\xff\xfe", "is no cassette"),
        (b"[" * 100_000, "is no cassette"),
        (b'{"cassette":2,"provider":"DashScope","exchanges":[]}', "of version 2"),
        (b'{"cassette":1,"provider":"DashScope","exchanges":[{}]}', "is no cassette"),
        (
            b'{"cassette":1,"provider":"x","exchanges":[{"request":%b}]}'
            % b'{"operation":"X","method":"GET","path":"/x"}',
            "exchange 0 needs an answer or a failure",
        ),
    ],
    ids=["empty", "no fields", "no text", "deep", "version", "no request", "no answer"],
)
def test_a_file_that_is_no_cassette_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """What is no cassette, or of another version, is told with the file's name."""
    path = tmp_path / "c.json"
    path.write_bytes(content)

    with pytest.raises(CassetteError, match=words) as caught:
        Cassette.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chunks": [1, 1]}, "exchange 0 has chunks that are not as long as its body"),
        ({"times": [0.1, 0.2]}, "exchange 0 has not a time for each chunk"),
        ({"waits": {"0": 1}}, "exchange 0 waits for an exchange that there is not"),
        ({"waits": {"0": -1}}, "exchange 0 waits for an exchange that there is not"),
    ],
)
def test_a_cassette_that_does_not_fit_together_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """What a careless hand wrote is told when it is loaded, and not in the middle of a replay."""
    with pytest.raises(CassetteError, match=words):
        Cassette.load(written(tmp_path / "c.json", **changes))


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    """A missing file is a `FileNotFoundError`, as everywhere."""
    with pytest.raises(FileNotFoundError):
        Cassette.load(tmp_path / "none.json")


def test_a_cassette_shows_nothing_of_what_was_said() -> None:
    """The repr says whose wire and how many, no more."""
    exchange = Exchange(
        request=Asked(operation="X", method="GET", path="/x", body=Body.of(b"private")),
        failure=Failed(kind="lost"),
    )
    assert repr(cassette(exchange)) == "Cassette(DashScope, 1 exchanges)"


def test_to_show_a_cassette_costs_nothing() -> None:
    """The repr counts, and makes nothing: of a recording each exchange is made anew."""

    class Costly:
        def __len__(self) -> int:
            return 3

        def __iter__(self) -> Iterator[Exchange]:
            raise AssertionError

    assert repr(Cassette("DashScope", Costly())) == "Cassette(DashScope, 3 exchanges)"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a mode says nothing")
def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """What was said is for nobody else to read; a file that is there keeps its mode."""
    (tmp_path / "old.json").write_text("")
    (tmp_path / "old.json").chmod(0o640)
    for name in ("new.json", "old.json"):
        cassette().save(tmp_path / name)
        assert not Cassette.load(tmp_path / name).exchanges

    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "old.json").stat().st_mode) == 0o640


def test_a_shorter_cassette_takes_the_place_of_a_longer(tmp_path: Path) -> None:
    """A file is written as a whole: nothing of what it held before is left."""
    asked = Exchange(
        request=Asked(operation="X", method="GET", path="/x"), failure=Failed(kind="lost")
    )
    cassette(asked, asked).save(tmp_path / "c.json")
    cassette(asked).save(tmp_path / "c.json")

    assert len(Cassette.load(tmp_path / "c.json").exchanges) == 1


def test_its_errors_are_of_the_family() -> None:
    """Whoever catches `AssistError` catches these; they are ours, no service's; they pickle."""
    assert issubclass(NotRecorded, CassetteError)
    assert issubclass(CassetteError, ConfigError)
    assert str(pickle.loads(pickle.dumps(NotRecorded("why")))) == "why"
