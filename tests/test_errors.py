"""The tree of errors: what is what, what is told, what is kept by a pickle."""

import copy
import pickle
import traceback
from collections.abc import Callable

import pytest

from aiodashassist import errors
from aiodashassist.errors import APIError, AssistError, PauseRun, RunError

PARENTS = {
    "AssistError": "Exception",
    "ConfigError": "AssistError",
    "InvalidArgument": "AssistError ValueError",
    "UnsupportedOperation": "AssistError",
    "UnsupportedParameter": "AssistError",
    "TransportError": "AssistError",
    "ConnectError": "TransportError",
    "RequestTimeout": "TransportError TimeoutError",
    "FirstEventTimeout": "TransportError TimeoutError",
    "IdleTimeout": "TransportError TimeoutError",
    "TotalTimeout": "TransportError TimeoutError",
    "StreamInterrupted": "TransportError",
    "ResponseTooLarge": "TransportError",
    "UnexpectedRedirect": "TransportError",
    "OutcomeUnknown": "TransportError",
    "APIError": "AssistError",
    "BadRequest": "APIError",
    "AuthenticationError": "APIError",
    "PermissionDenied": "APIError",
    "NotFound": "APIError",
    "Conflict": "APIError",
    "RateLimited": "APIError",
    "ServerError": "APIError",
    "ProtocolError": "AssistError",
    "RemoteProtocolError": "ProtocolError",
    "LocalProtocolError": "ProtocolError",
    "DecodeError": "ProtocolError",
    "RunError": "AssistError",
    "RunFailed": "RunError",
    "RunExpired": "RunError",
    "RunCancelled": "RunError",
    "RunIncomplete": "RunError",
    "ToolRoundsExceeded": "RunError",
    "ToolError": "AssistError",
    "ToolNotFound": "ToolError",
    "ToolArgumentsError": "ToolError",
    "ToolTimeout": "ToolError",
}
SIGNALS = {"PauseRun"}
CLASSES: list[type[AssistError]] = [
    getattr(errors, name) for name in errors.__all__ if name not in SIGNALS
]
WHERE = {"run_id": "run_1", "thread_id": "thread_1", "request_id": "request_1", "text": "SAID"}

every_class = pytest.mark.parametrize("cls", CLASSES)


def kept(error: AssistError) -> dict[str, object]:
    """What a pickle has of an error: all but what was said."""
    return {**vars(error), "text": None}


def full(cls: type[AssistError]) -> AssistError:
    """An error of the class with all that it can know."""
    if issubclass(cls, APIError):
        return cls("It broke.", status=418, code="Teapot", retry_after=1.5, **WHERE)
    if issubclass(cls, RunError):
        return cls("It broke.", status="failed", code="Teapot", **WHERE)
    return cls("It broke.", **WHERE)


def test_the_tree_is_that_of_the_contract() -> None:
    """Each class has the parents that the contract gives it, and there are no others."""
    tree = {cls.__name__: " ".join(base.__name__ for base in cls.__bases__) for cls in CLASSES}
    assert tree == PARENTS


def test_the_map_names_every_class() -> None:
    """The module's docstring is the whole tree."""
    words = set((errors.__doc__ or "").replace(",", " ").split())
    assert set(errors.__all__) <= words


def test_every_class_is_public() -> None:
    """No exception of the room is missing in `__all__`."""
    here = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    assert here == set(errors.__all__)


@every_class
def test_an_error_knows_where_it_happened(cls: type[AssistError]) -> None:
    """Every error bears the ids and the text it was given, and None for what is unknown."""
    known, unknown = full(cls), cls("It broke.")
    assert {name: getattr(known, name) for name in WHERE} == WHERE
    assert {getattr(unknown, name) for name in WHERE} == {None}
    assert known.message == unknown.message == "It broke."


@every_class
def test_the_text_is_never_shown(cls: type[AssistError]) -> None:
    """What the model said is in no print of an error, nor in its traceback."""
    error = full(cls)
    shown = [str(error), repr(error), f"{error}", *traceback.format_exception(error)]
    assert not any("SAID" in text for text in shown)
    assert not any("SAID" in str(argument) for argument in error.args)


@every_class
def test_an_error_says_what_and_where(cls: type[AssistError]) -> None:
    """The printed error has its message, its run and its request."""
    assert str(full(cls)).endswith("It broke. (run run_1, request request_1)")


@every_class
def test_an_error_without_words_says_its_name(cls: type[AssistError]) -> None:
    """No error is printed as nothing."""
    assert str(cls()) == cls.__name__


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AssistError("It broke."), "It broke."),
        (AssistError("It broke.", run_id="run_1"), "It broke. (run run_1)"),
        (AssistError("It broke.", request_id="r"), "It broke. (request r)"),
        (AssistError("It broke.", thread_id="t", text="x"), "It broke."),
        (AssistError(run_id="run_1"), "AssistError (run run_1)"),
        (APIError("No.", status=400, code="Bad"), "400 Bad: No."),
        (APIError("No.", status=400), "400: No."),
        (APIError("No.", code="Bad"), "Bad: No."),
        (APIError("No."), "No."),
        (APIError(status=502, request_id="r"), "502: APIError (request r)"),
    ],
)
def test_only_what_is_known_is_said(error: AssistError, text: str) -> None:
    """What is unknown leaves no trace in the printed error."""
    assert str(error) == text


@every_class
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_keeps_all_but_what_was_said(cls: type[AssistError], protocol: int) -> None:
    """A pickled error comes back with its class, its words, its notes, and no text of the run."""
    error = full(cls)
    error.add_note("while testing")
    pickled = pickle.dumps(error, protocol)
    back = pickle.loads(pickled)
    assert type(back) is cls
    assert vars(back) == kept(error)
    assert b"SAID" not in pickled
    assert (back.args, str(back), repr(back)) == (error.args, str(error), repr(error))
    assert back.__notes__ == ["while testing"]


@every_class
def test_an_error_with_a_cause_can_be_pickled(cls: type[AssistError]) -> None:
    """A cause that no pickle takes does not stand in the way."""
    error = full(cls)
    error.__cause__ = OSError(lambda: None)
    error.__context__ = error.__cause__
    back = pickle.loads(pickle.dumps(error))
    assert vars(back) == kept(error)


@every_class
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_is_as_good_as_the_first(
    cls: type[AssistError], how: Callable[[AssistError], AssistError]
) -> None:
    """A copied error says the same and, unlike a pickle, knows what was said: it goes nowhere."""
    error = full(cls)
    back = how(error)
    assert back is not error
    assert (type(back), vars(back), str(back)) == (cls, vars(error), str(error))
    assert back.text == "SAID"


@pytest.mark.parametrize("name", WHERE)
def test_located_fills_what_is_unknown(name: str) -> None:
    """An error that is told where it happened is the same error, and learns only what is new."""
    error = AssistError("It broke.", **{name: "first"})
    assert error.located(**WHERE) is error
    assert {key: getattr(error, key) for key in WHERE} == {**WHERE, name: "first"}
    error.located(run_id="x", thread_id="x", request_id="x", text="x").located()
    assert {key: getattr(error, key) for key in WHERE} == {**WHERE, name: "first"}


def test_located_keeps_an_empty_text() -> None:
    """That nothing had been said is known, and is not overwritten."""
    assert AssistError("It broke.", text="").located(text="later").text == ""


def test_located_without_knowledge_changes_nothing() -> None:
    """Where nobody knows more, all stays None."""
    assert vars(AssistError("It broke.").located()) == vars(AssistError("It broke."))


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, APIError)])
def test_an_api_error_tells_the_answer(cls: type[APIError]) -> None:
    """The answer's status, code and pause are attributes; unknown ones say so."""
    error, unknown = full(cls), cls("No.")
    assert isinstance(error, APIError)
    assert (error.status, error.code, error.retry_after) == (418, "Teapot", 1.5)
    assert (unknown.status, unknown.code, unknown.retry_after) == (None, "", None)


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if issubclass(cls, RunError)])
def test_a_run_error_tells_the_ending(cls: type[RunError]) -> None:
    """The run's last status and the code of its error are attributes."""
    error, unknown = full(cls), cls("No.")
    assert isinstance(error, RunError)
    assert (error.status, error.code) == ("failed", "Teapot")
    assert (unknown.status, unknown.code) == ("", "")


def test_the_pause_is_a_signal_and_no_error() -> None:
    """A pause is no `AssistError`: whoever handles those lets it through; it can be pickled."""
    signal = PauseRun("ask the boss")
    back = pickle.loads(pickle.dumps(signal))
    assert PauseRun.__bases__ == (Exception,)
    assert (type(back), back.args) == (PauseRun, ("ask the boss",))
