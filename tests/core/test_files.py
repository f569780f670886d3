"""Files as values: what is told of one on its way, and what is known of one that was kept."""

from typing import Any

from aiodashassist.core.files import (
    AssistantFile,
    FailedUpload,
    File,
    FileContent,
    Form,
    MessageFile,
    Upload,
    Uploads,
)


def test_an_upload_shows_its_name_and_size_only() -> None:
    """Where its bytes are, or what they are, is in no log line."""
    upload = Upload(filename="名.txt", size=3, content=b"secret")

    assert repr(upload) == "Upload(filename='名.txt', size=3)"
    assert "secret" not in repr(Form(files=(("files", upload),)))


def test_a_form_and_an_upload_s_result_may_be_empty() -> None:
    """Fields and files are tuples, never None."""
    assert (Form().fields, Form().files) == ((), ())
    assert (Uploads().files, Uploads().failed) == ((), ())
    assert FailedUpload() == FailedUpload(filename="", code="", message="")


def test_a_file_is_an_id_and_what_is_known() -> None:
    """Each kind of file says what it is; all else may be unknown."""
    kinds: list[Any] = [File(id="f"), AssistantFile(id="f"), MessageFile(id="f")]

    assert [kind.object for kind in kinds] == ["file", "assistant.file", "thread.message.file"]
    assert all(kind.created_at is None and kind.extra == {} for kind in kinds)


def test_the_bytes_of_a_file_are_in_no_repr() -> None:
    """How many they are and of what kind is enough for a log."""
    content = FileContent(data=b"secret", content_type="text/plain", request_id="r")

    assert repr(content) == "FileContent(6 bytes, content_type='text/plain')"
    assert FileContent(data=b"") == FileContent(data=b"", content_type=None, request_id=None)
