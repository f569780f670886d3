"""What became of a lost request: what is asked, and what is concluded from the answers.

Times are milliseconds; the lost request was sent at 100_000, and the look is later.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from aiodashassist.core import operations as ops
from aiodashassist.core import reconcile
from aiodashassist.core.decoding import MARK
from aiodashassist.core.files import AssistantFile, Upload
from aiodashassist.core.known import Known, Past
from aiodashassist.core.models import (
    Assistant,
    Content,
    Message,
    MessageCreation,
    Page,
    RequiredAction,
    Run,
    RunStep,
    StepDetails,
    SubmitToolOutputs,
    Text,
)
from aiodashassist.core.operations import Operation
from aiodashassist.core.reconcile import Found, NotReceived, Seen, Unclear, inquiry, whereabouts
from aiodashassist.core.tooling import FunctionCall, PluginCall, ToolCall, ToolOutput

SENT = 100_000
"""When the lost request was sent."""


class World:
    """What the service shows: lists, newest first as they are given, and one run.

    Args:
        lists: by the name of what they hold.
        began: when the lost request was sent by the service's clock; 0 if that is not told.
        marks: what the objects of the lists bear, by their ids.
        run: the run that is retrieved.
        meanwhile: happens before each question, with its number from 0.
        more: lists.
    """

    def __init__(
        self,
        lists: Mapping[str, Sequence[Any]] | None = None,
        *,
        began: float = 0.0,
        marks: dict[str, str] | None = None,
        run: Run | None = None,
        meanwhile: Callable[["World", int], None] = lambda _world, _number: None,
        **more: Sequence[Any],
    ) -> None:
        self.asked: list[Operation[Any]] = []
        named = {**(lists or {}), **more}
        self.lists: dict[str, list[Any]] = {name: list(held) for name, held in named.items()}
        self.known = Known()
        self._began = began
        self._marks = marks or {}
        self._run = run
        self._meanwhile = meanwhile

    def past(self, *, seen: Sequence[str] = (), made: Sequence[str] = ()) -> Past:
        """What was known when the request was sent; what is noted later is new."""
        for one in seen:
            self.known.see(Run(id=one))
        for one in made:
            self.known.add(one)
        return Past(self.known, self.known.moment)

    def became(
        self, operation: Operation[Any], past: Past | None = None, size: int = 20
    ) -> Found | NotReceived | Unclear:
        """The finding."""
        asking = inquiry(operation, past or self.past(), size)
        assert asking is not None
        try:
            question = next(asking)
            while True:
                self._meanwhile(self, len(self.asked))
                self.asked.append(question)
                question = asking.send(self._seen(question))
        except StopIteration as end:
            finding: Found | NotReceived | Unclear = end.value
            return finding

    @property
    def names(self) -> list[str]:
        """The questions."""
        return [type(question).__name__ for question in self.asked]

    def _seen(self, question: Operation[Any]) -> Seen:
        if not isinstance(question, ops.ListOperation):
            return Seen(self._run, began=self._began)
        names = {
            ops.ListAssistants: "assistants", ops.ListAssistantFiles: "files",
            ops.ListMessages: "messages", ops.ListRuns: "runs", ops.ListSteps: "steps",
        }  # fmt: skip
        held = self.lists.get(names[type(question)], [])
        page = question.page
        assert page["order"] == "desc"
        after, size = page.get("after"), page["page_size"] or 0
        start = 1 + next(i for i, one in enumerate(held) if one.id == after) if after else 0
        shown = held[start : start + size]
        result = Page(data=tuple(shown), has_more=start + size < len(held))
        marks = tuple(self._marks.get(one.id) for one in shown)
        return Seen(result, marks, began=self._began)


def message(obj_id: str, text: str = "hi", at: int | None = SENT + 5, **fields: Any) -> Message:
    """A user's message."""
    content = (Content(text=Text(value=text)),)
    return Message(id=obj_id, created_at=at, content=content, **{"role": "user", **fields})


def run(obj_id: str, at: int | None = SENT + 10, assistant: str | None = "a") -> Run:
    """A run."""
    return Run(id=obj_id, created_at=at, assistant_id=assistant, status="completed")


def say(text: str = "hi", **params: Any) -> ops.CreateMessage:
    """A message that is lost."""
    given: Any = {"content": text, **params}
    return ops.CreateMessage(thread_id="t", params=given)


def begin(hint: str = "", **params: Any) -> ops.CreateRun:
    """A run that is lost."""
    given: Any = {"assistant_id": "a", **params}
    return ops.CreateRun(thread_id="t", params=given, hint=hint)


MARKED: Any = {"metadata": {MARK: "m"}}
ASSISTANT: Any = {"name": "n", "model": "q", **MARKED}
NAMED = ops.CreateAssistant(params=ASSISTANT)


# By mark.


@pytest.mark.parametrize(
    ("operation", "name", "objects"),
    [
        (ops.CreateAssistant(params=MARKED), "assistants", [Assistant(id=one) for one in "cba"]),
        (say(**MARKED), "messages", [message(one) for one in "cba"]),
        (begin(**MARKED), "runs", [run(one) for one in "cba"]),
    ],
)
def test_what_bears_the_mark_came_of_the_request(
    operation: Operation[Any], name: str, objects: list[Any]
) -> None:
    """Wherever it stands, and whatever else is there."""
    marks = {"b": "m", "a": "another"}

    assert World({name: objects}, marks=marks).became(operation) == Found(objects[1])


def test_the_list_of_the_thread_is_asked() -> None:
    """A message is looked for on its thread, and so is a run."""
    world = World()
    world.became(say(**MARKED))
    world.became(begin(**MARKED))

    assert [getattr(one, "thread_id", "") for one in world.asked] == ["t", "t"]
    assert world.names == ["ListMessages", "ListRuns"]


def test_a_list_without_the_mark_means_not_received() -> None:
    """Others' marks show that the list has marks."""
    world = World(runs=[run("b"), run("a")], marks={"a": "another"})

    assert world.became(begin(**MARKED)) == NotReceived()


def test_an_empty_list_means_not_received() -> None:
    """Nothing is there that could be it."""
    assert World().became(begin(**MARKED)) == NotReceived()


TWINS = [
    (NAMED, "assistants",
     Assistant(id="x", name="n", model="q", created_at=SENT)),
    (say("hi", **MARKED), "messages", message("x", "hi", SENT)),
    (begin(**MARKED), "runs", run("x", SENT)),
    (begin(**MARKED), "runs", run("x", SENT, None)),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "name", "twin"), TWINS)
def test_one_like_it_in_a_list_without_any_mark_may_be_it(
    operation: Operation[Any], name: str, twin: Any
) -> None:
    """A service may keep no metadata: then it would look as if it had not been received."""
    found = World({name: [twin]}).became(operation)

    assert isinstance(found, Unclear)
    assert "operation id" in found.why


@pytest.mark.parametrize(
    ("operation", "name", "other"),
    [
        (NAMED, "assistants",
         Assistant(id="x", name="n", model="other")),
        (NAMED, "assistants",
         Assistant(id="x", name="other", model="q")),
        (say("hi", **MARKED), "messages", message("x", "hi", role="assistant")),
        (say("hi", **MARKED), "messages", message("x", "hello")),
        (say("hi", **MARKED), "messages", message("x", "hi", file_ids=("f",))),
        (begin(**MARKED), "runs", run("x", SENT, "another")),
    ],
)  # fmt: skip
def test_what_is_not_like_it_is_not_it(operation: Operation[Any], name: str, other: Any) -> None:
    """Another name, model, text, role, file or assistant: also without marks it is not there."""
    assert World({name: [other]}).became(operation) == NotReceived()


def test_a_twin_that_was_there_before_is_not_it() -> None:
    """Seen before, made here by another request, or older than the request by its own clock."""
    world = World(runs=[run("b"), run("a")])
    assert world.became(begin(**MARKED), world.past(seen=["a"], made=["b"])) == NotReceived()

    world = World(runs=[run("x", SENT - 10_001)], began=SENT)
    assert world.became(begin(**MARKED)) == NotReceived()
    world = World(runs=[run("x", SENT - 10_000)], began=SENT)
    assert isinstance(world.became(begin(**MARKED)), Unclear)


def test_marks_of_a_list_that_do_not_fit_its_objects_are_none() -> None:
    """They cannot be told apart, so that none of them counts."""
    asking = inquiry(begin(**MARKED), World().past(), 20)
    assert asking is not None
    next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send(Seen(Page(data=(run("a"), run("b"))), ("m",)))

    assert isinstance(end.value.value, Unclear)


def test_a_run_with_its_own_thread_cannot_be_looked_for() -> None:
    """No list shows the thread, and so nothing is asked."""
    world = World()
    found = world.became(ops.CreateThreadAndRun(params=begin(**MARKED).params))

    assert isinstance(found, Unclear)
    assert world.asked == []


# Pages of a list.


def test_a_list_is_read_on_until_the_mark_is_there() -> None:
    """Page by page, from where the last one ended, each as large as it may be."""
    runs = [run(str(number), SENT - number) for number in range(9)]
    world = World(runs=runs, marks={"7": "m"})

    assert world.became(begin(**MARKED), size=3) == Found(runs[7])
    pages = [question.page for question in world.asked if isinstance(question, ops.ListRuns)]
    assert [page.get("after") for page in pages] == [None, "2", "5"]
    assert {page["page_size"] for page in pages} == {3}


def test_the_end_of_a_page_is_its_last_object_unless_the_page_says() -> None:
    """`last_id` where there is one."""
    asking = inquiry(begin(**MARKED), World().past(), 1)
    assert asking is not None
    next(asking)
    second = asking.send(Seen(Page(data=(run("a"),), has_more=True, last_id="cursor"), ("x",)))

    assert isinstance(second, ops.ListRuns)
    assert second.page["after"] == "cursor"


def test_an_empty_page_ends_a_list() -> None:
    """Even if it says that there is more: there is nothing to go on from."""
    asking = inquiry(begin(**MARKED), World().past(), 1)
    assert asking is not None
    next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send(Seen(Page(data=(), has_more=True)))

    assert end.value.value == NotReceived()


def test_what_is_not_among_the_newest_is_not_there() -> None:
    """Five pages are read of a list that is as it was asked for, newest first; and no more."""
    runs = [run(str(number), SENT - number) for number in range(30)]
    world = World(runs=runs, marks={"0": "another", "20": "m"})

    assert world.became(begin(**MARKED), size=4) == NotReceived()
    assert len(world.asked) == 5


@pytest.mark.parametrize(
    "times",
    [
        list(range(30)),  # the oldest first
        [0] * 30,
        [30 - number if number != 10 else 99 for number in range(30)],
    ],
)
def test_a_long_list_that_is_not_newest_first_tells_nothing(times: list[int]) -> None:
    """What came just now may be on a page that was not read."""
    runs = [run(str(number), SENT + time) for number, time in enumerate(times)]
    found = World(runs=runs, marks={"0": "another"}).became(begin(**MARKED), size=4)

    assert found == Unclear("it is none of the first 20, and there are more")


def test_objects_without_times_are_in_no_order() -> None:
    """Without times it cannot be seen that a list is newest first."""
    runs = [run(str(number), None) for number in range(30)]
    found = World(runs=runs, marks={"0": "another"}).became(begin(**MARKED), size=4)

    assert isinstance(found, Unclear)


def test_whoever_is_asked_is_asked_as_before() -> None:
    """The caller's own headers and query may say whose objects are meant."""
    own: Any = {"extra_headers": {"X-Tenant": "1"}, "extra_query": {"tenant": "1"}}
    world = World(run=Run(id="r", status="requires_action"))
    world.became(begin(**MARKED, **own))
    world.became(begin(**own))
    world.became(say(**own))
    attach = ops.AttachFile(assistant_id="a", file_id="f", extras=own)
    world.became(attach)
    world.became(ops.SubmitOutputs(thread_id="t", run_id="r", tool_outputs=(), extras=own))

    told = [getattr(one, "page", one.extras) for one in world.asked]
    assert len(told) == 7
    assert all(own.items() <= given.items() for given in told)


def test_whoever_gave_nothing_of_his_own_has_nothing_added() -> None:
    """A look is a plain request then."""
    world = World()
    world.became(begin(**MARKED))

    assert [getattr(one, "page", {}).get("extra_headers") for one in world.asked] == [None]
    assert [getattr(one, "page", {}).get("extra_query") for one in world.asked] == [None]


# Files of an assistant.


def test_an_attached_file_is_found_by_its_id() -> None:
    """Attached by whomever: it is there."""
    files = [AssistantFile(id=one, assistant_id="a") for one in "fg"]
    operation = ops.AttachFile(assistant_id="a", file_id="g")
    world = World(files=files)

    assert world.became(operation) == Found(files[1])
    assert getattr(world.asked[0], "assistant_id", "") == "a"
    assert World(files=files[:1]).became(operation) == NotReceived()


def test_too_many_attached_files_tell_nothing() -> None:
    """It may be on a page that was not read."""
    files = [AssistantFile(id=str(number)) for number in range(30)]
    found = World(files=files).became(ops.AttachFile(assistant_id="a", file_id="29"), size=4)

    assert isinstance(found, Unclear)


# Messages without marks.


def test_the_newest_message_is_ours_if_it_says_the_same() -> None:
    """Nobody has run since, and it was not there before."""
    messages = [message("new"), message("old", at=SENT - 50)]
    world = World(messages=messages, runs=[run("r", SENT - 40)])

    assert world.became(say(), world.past(made=["old"], seen=["r"])) == Found(messages[0])
    assert world.names == ["ListMessages", "ListRuns"]


@pytest.mark.parametrize(
    "other",
    [
        message("x", "hello"),
        message("x", role="assistant"),
        message("x", file_ids=("f",)),
        message("x", "hi "),
    ],
)
def test_a_message_that_says_something_else_is_not_ours(other: Message) -> None:
    """Another text, role or file; then ours is not there."""
    world = World(messages=[other])

    assert world.became(say()) == NotReceived()
    assert world.names == ["ListMessages"]


def test_role_and_files_are_compared_as_given() -> None:
    """What is not given is a user's message without files."""
    mine = message("x", role="assistant", file_ids=("f", "g"))
    operation = say(role="assistant", file_ids=["f", "g"])

    assert World(messages=[mine]).became(operation) == Found(mine)
    assert World(messages=[message("x")]).became(say(file_ids=None)) == Found(message("x"))


def test_an_empty_thread_has_no_message() -> None:
    """It was not received."""
    assert World().became(say()) == NotReceived()


@pytest.mark.parametrize("past", [{"seen": ["x"]}, {"made": ["x"]}])
def test_a_message_that_was_there_before_is_another_one(past: dict[str, list[str]]) -> None:
    """One says the same thing twice."""
    world = World(messages=[message("x")])

    assert world.became(say(), world.past(**past)) == NotReceived()


def test_a_message_that_was_seen_since_may_be_ours() -> None:
    """Another task may have listed the thread while the answer was on its way."""
    world = World(messages=[message("x")])
    past = world.past()
    world.known.see(message("x"))

    assert world.became(say(), past) == Found(message("x"))


def test_two_requests_do_not_claim_one_message() -> None:
    """What came of another request of ours is told meanwhile: it is not what came of this one."""

    def claimed(world: World, number: int) -> None:
        if number == 1:  # between the two questions
            world.known.add("x")

    assert World(messages=[message("x")], meanwhile=claimed).became(say()) == NotReceived()
    both = [message("x"), message("y", at=SENT)]
    assert isinstance(World(messages=both, meanwhile=claimed).became(say()), Unclear)


@pytest.mark.parametrize(
    "above", [message("b", "other", SENT + 20), message("b", "answer", SENT + 20, role="assistant")]
)
def test_a_message_above_ours_is_somebody_elses(above: Message) -> None:
    """A foreign writer, or the answer to an older message that says the same: it is not clear."""
    found = World(messages=[above, message("a")]).became(say())

    assert found == Unclear("somebody else writes on the thread")


@pytest.mark.parametrize(("between", "older"), [(1_001, True), (1_000, False), (1, False)])
def test_a_message_before_a_known_run_is_an_older_one(between: int, older: bool) -> None:
    """What was there when the request was sent came not of it, and what is older neither.

    But the clocks of a service may differ a little: then it is not clear which is older.
    """
    world = World(messages=[message("x", at=SENT - 50)], runs=[run("r", SENT - 50 + between)])
    found = world.became(say(), world.past(seen=["r"]))

    assert found == (NotReceived() if older else Unclear("somebody else runs on the thread"))


def test_a_run_of_the_same_moment_is_no_later_one() -> None:
    """A message comes first, and its run takes a request of its own: that run was before."""
    one = message("x", at=SENT + 5)

    assert World(messages=[one], runs=[run("r", SENT + 5)]).became(say()) == Found(one)


@pytest.mark.parametrize("told", [(), ("r",)])
def test_a_message_before_another_run_may_be_ours(told: Sequence[str]) -> None:
    """Somebody else has run on the thread, or another request of this client has, meanwhile."""
    world = World(messages=[message("x")], runs=[run("r", SENT + 6), run("old", SENT - 9)])
    past = world.past(seen=["old"])
    for one in told:
        world.known.add(one)

    assert world.became(say(), past) == Unclear("somebody else runs on the thread")


@pytest.mark.parametrize(
    ("said", "ran"), [(None, SENT), (SENT, None), (None, None)], ids=["said", "ran", "both"]
)
def test_times_that_are_not_told_settle_nothing(said: int | None, ran: int | None) -> None:
    """Whether a run is newer than a message cannot be seen: that it is known does not help."""
    world = World(messages=[message("x", at=said)], runs=[run("r", ran)])
    found = world.became(say(), world.past(seen=["r"]))

    assert found == Unclear("somebody else runs on the thread")


@pytest.mark.parametrize(
    ("at", "ours"), [(SENT - 10_001, False), (SENT - 10_000, True), (SENT, True), (None, False)]
)
def test_a_message_older_than_the_request_is_not_taken_for_it(at: int | None, ours: bool) -> None:
    """The service's own clock tells; some seconds are allowed for."""
    one = message("x", at=at)
    found = World(messages=[one], began=SENT).became(say())

    assert found == (Found(one) if ours else Unclear("an older message says the same"))


# Runs without marks.


def test_the_newest_run_is_ours_if_it_answers_our_message() -> None:
    """By the hint, or by what this client has said itself."""
    world = World(messages=[message("m")], runs=[run("r"), run("old", SENT - 9)])

    assert world.became(begin("m"), world.past(seen=["old"])) == Found(run("r"))
    assert world.became(begin(), world.past(seen=["old"], made=["m"])) == Found(run("r"))


def test_runs_are_read_before_messages() -> None:
    """Who runs before the first look has asked before the second."""
    world = World(messages=[message("m")])

    assert world.became(begin("m")) == NotReceived()
    assert world.names == ["ListRuns", "ListMessages"]


def test_somebody_who_asks_and_runs_between_the_looks_is_not_taken_for_us() -> None:
    """The run is not seen, or its question is."""

    def meanwhile(world: World, number: int) -> None:
        if number == when:
            world.lists["messages"].insert(0, message("foreign", "theirs", SENT + 20))
            world.lists["runs"].insert(0, run("foreign", SENT + 30))

    for when in (0, 1):
        world = World(messages=[message("m")], runs=[run("old", SENT - 9)], meanwhile=meanwhile)
        found = world.became(begin("m"), world.past(seen=["old"]))
        assert isinstance(found, (Unclear, NotReceived)[when])


@pytest.mark.parametrize("past", [{"seen": ["r"]}, {"made": ["r"]}])
def test_a_run_that_was_there_before_is_another_one(past: dict[str, list[str]]) -> None:
    """The same message may be run twice."""
    world = World(messages=[message("m")], runs=[run("r")])

    assert world.became(begin("m"), world.past(**past)) == NotReceived()


def test_a_run_that_was_seen_since_may_be_ours() -> None:
    """Another task may have listed the runs while the answer was on its way."""
    world = World(messages=[message("m")], runs=[run("r")])
    past = world.past()
    world.known.see(run("r"))

    assert world.became(begin("m"), past) == Found(run("r"))


@pytest.mark.parametrize(
    "last", [message("foreign", "theirs", SENT + 20), message("foreign", "hi", SENT - 20), None]
)
@pytest.mark.parametrize("hint", ["m", ""])
def test_a_new_run_for_a_question_that_is_not_ours_is_not_clear(
    hint: str, last: Message | None
) -> None:
    """Whatever its time: somebody else writes on the thread, before our run began or after."""
    ours = message("m") if last is not None and last.created_at != SENT - 20 else None
    messages = [one for one in (last, ours) if one is not None]
    world = World(messages=messages, runs=[run("r")])
    found = world.became(begin(hint), world.past(seen=["foreign"]))

    assert found == Unclear("run r is there, and may be somebody else's")


def test_only_the_hint_counts_where_there_is_one() -> None:
    """Two who ask at a time through one client: the other's message is no question of ours."""
    world = World(messages=[message("theirs"), message("mine")], runs=[run("r")])
    found = world.became(begin("mine"), world.past(made=["mine", "theirs"]))

    assert isinstance(found, Unclear)


def test_an_answer_is_no_question() -> None:
    """The thread's last message may be what the run said already."""
    messages = [message("said", "answer", SENT + 20, role="assistant"), message("m")]
    world = World(messages=messages, runs=[run("r")])

    assert world.became(begin("m")) == Found(run("r"))


@pytest.mark.parametrize(
    ("at", "finding"),
    [
        (SENT + 5 - 1_001, NotReceived()),
        (SENT + 5 - 1_000, Unclear("run r is there, and may be another one")),
        (SENT + 4, Unclear("run r is there, and may be another one")),
        (SENT + 5, Found(run("r", SENT + 5))),
        (None, Unclear("run r is there, and may be another one")),
    ],
)
def test_a_run_before_our_message_answers_another(
    at: int | None, finding: Found | NotReceived | Unclear
) -> None:
    """But the clocks of a service may differ a little: then it is not clear."""
    world = World(messages=[message("m", at=SENT + 5)], runs=[run("r", at)])

    assert world.became(begin("m")) == finding


def test_a_message_without_a_time_says_nothing_of_the_run() -> None:
    """It may be older than the message."""
    world = World(messages=[message("m", at=None)], runs=[run("r")])

    assert isinstance(world.became(begin("m")), Unclear)


def test_two_new_runs_are_one_too_many() -> None:
    """One of them is somebody else's; an older one that answers an older question is not one."""
    world = World(messages=[message("m")], runs=[run("r", SENT + 10), run("s", SENT + 9)])
    assert isinstance(world.became(begin("m")), Unclear)

    world = World(messages=[message("m")], runs=[run("r", SENT + 10), run("s", SENT - 2_000)])
    assert world.became(begin("m")) == Found(run("r"))


def test_a_run_of_another_assistant_is_not_ours() -> None:
    """Whose it is the service need not tell."""
    theirs = World(messages=[message("m")], runs=[run("r", assistant="another")])
    nobodys = World(messages=[message("m")], runs=[run("r", assistant=None)])

    assert isinstance(theirs.became(begin("m")), Unclear)
    assert isinstance(nobodys.became(begin("m")), Found)


@pytest.mark.parametrize(("at", "ours"), [(SENT - 10_001, False), (SENT - 10_000, True)])
def test_a_run_older_than_the_request_is_not_taken_for_it(at: int, ours: bool) -> None:
    """Somebody else had run on our message before; the service's own clock tells."""
    world = World(messages=[message("m", at=SENT - 60_000)], runs=[run("r", at)], began=SENT)

    assert isinstance(world.became(begin("m")), Found if ours else Unclear)


SAID: Any = {"additional_messages": [{"content": "first"}, {"content": "hi"}]}


def test_a_run_that_brought_its_question_is_known_by_it() -> None:
    """The last message that came with it; also where it is a little newer than the run."""
    for at in (SENT + 5, SENT + 15, SENT + 1_010):
        world = World(messages=[message("m", at=at), message("n", "first")], runs=[run("r")])
        assert world.became(begin(**SAID)) == Found(run("r"))


def test_a_run_that_brought_its_question_needs_a_time() -> None:
    """Else it may be older than the question."""
    world = World(messages=[message("m")], runs=[run("r", None)])

    assert isinstance(world.became(begin(**SAID)), Unclear)


@pytest.mark.parametrize(
    ("last", "past"),
    [
        (message("m", "other"), {}),
        (message("m"), {"seen": ["m"]}),
        (message("m"), {"made": ["m"]}),
    ],
)
def test_a_run_of_another_question_is_not_the_one_that_brought_ours(
    last: Message, past: dict[str, list[str]]
) -> None:
    """Another text, or one that was there before, also if this client has said it."""
    world = World(messages=[last], runs=[run("r")])

    assert isinstance(world.became(begin(**SAID), world.past(**past)), Unclear)


def test_the_same_question_asked_before_by_others_is_not_ours() -> None:
    """Another process has asked and run the very same before: its run is not taken for ours."""
    messages = [message("m", at=SENT - 20_000)]
    world = World(messages=messages, runs=[run("r", SENT - 19_000)], began=SENT)

    assert isinstance(world.became(begin(**SAID)), Unclear)


@pytest.mark.parametrize("runs", [[], [run("old", SENT - 5_000)], [run("known")]])
def test_a_question_without_its_run_is_not_clear(runs: list[Run]) -> None:
    """It came with the run: that has begun, or will."""
    world = World(messages=[message("m")], runs=runs)
    found = world.became(begin(**SAID), world.past(seen=["known"]))

    assert found == Unclear("its message is there, and no run of it")


def test_neither_question_nor_run_were_received() -> None:
    """Nothing of it is there."""
    world = World(messages=[message("m", "other")], runs=[run("r")])

    assert world.became(begin(**SAID), world.past(seen=["r"])) == NotReceived()


# Any history of a thread.


class History(Struct, kw_only=True):
    """What happened on a thread without marks, in its order.

    Attributes:
        events: (kind, whose, the seconds since the event before); `sent` is where our request was
            sent, `came` where it arrived: it may never.
        ahead: milliseconds that the clock of the runs is ahead of that of the messages.
        seen: whether this client had seen the objects before, one after the other.
    """

    events: list[tuple[str, str, float]]
    ahead: int
    seen: list[bool]


GAPS = st.floats(0, 0.5) | st.floats(0, 30)
EVENTS = st.tuples(
    st.sampled_from(["message", "run", "answer"]), st.sampled_from(["ours", "theirs"]), GAPS
)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """The question that our run is to answer is asked before, by us."""
    before = draw(st.lists(EVENTS, max_size=5))
    between = draw(st.lists(EVENTS, max_size=2))
    after = [(kind, "theirs", gap) for kind, _, gap in draw(st.lists(EVENTS, max_size=3))]
    came = [("came", "mine", draw(st.floats(0, 3)))] if draw(st.booleans()) else []
    place = draw(st.integers(0, len(after)))
    events = [
        *before,
        ("message", "question", draw(GAPS)),
        *between,
        ("sent", "ours", draw(GAPS)),
        *after[:place],
        *came,
        *after[place:],
    ]
    return History(
        events=events,
        ahead=draw(st.integers(-1_000, 1_000)),
        seen=draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events))),
    )


def played(history: History, kind: str) -> tuple[World, Past, bool]:
    """The thread after all that, when what was sent is a message, or a run."""
    world, past, came, now = World(messages=[], runs=[]), None, False, 1_000_000
    for number, (event, whose, gap) in enumerate(history.events):
        now += 1 + round(gap * 1000)
        if event == "sent":
            world = World(world.lists, began=now + 0.0)
            past = seen_before(world, history.seen)
            continue
        obj_id, came = f"{number}:{whose}", came or event == "came"
        made = kind if event == "came" else event
        if made == "run":
            world.lists["runs"].insert(0, run(obj_id, now + history.ahead))
        else:
            # Who says the same at the same time as we do cannot be told apart.
            text = "hi" if event == "came" or (past is None and whose == "theirs") else f"{number}"
            role = "assistant" if event == "answer" else "user"
            world.lists["messages"].insert(0, message(obj_id, text, now, role=role))
    assert past is not None
    return world, past, came


def seen_before(world: World, seen: list[bool]) -> Past:
    """What this client knew when it sent: what it has made, and some of the rest."""
    for listed in world.lists.values():
        for one in listed:
            number, whose = one.id.split(":")
            if whose in ("ours", "question"):
                world.known.add(one.id)
            elif seen[int(number)]:
                world.known.see(one)
    return Past(world.known, world.known.moment)


@settings(max_examples=300)
@given(histories())
def test_no_history_makes_two_messages_of_one(history: History) -> None:
    """What is there is never called not received, and nothing else is taken for it."""
    world, past, came = played(history, "message")
    found = world.became(say("hi"), past)

    assert not (came and isinstance(found, NotReceived))
    if isinstance(found, Found) and came:
        assert found.result.id.endswith(":mine")


@settings(max_examples=300)
@given(histories())
def test_no_history_makes_two_runs_of_one(history: History) -> None:
    """What is there is never called not received; a foreign run is taken only for our question."""
    world, past, came = played(history, "run")
    question = next(one.id for one in world.lists["messages"] if one.id.endswith(":question"))
    found = world.became(begin(question), past)

    assert not (came and isinstance(found, NotReceived))
    if isinstance(found, Found):
        newest = next(one.id for one in world.lists["messages"] if one.role == "user")
        assert newest == question
        assert found.result.id.endswith(":mine") or not came


# Outputs of tools.


def call(call_id: str = "", output: str | None = None, name: str = "f") -> ToolCall:
    """A call of a function."""
    return ToolCall(id=call_id, function=FunctionCall(name=name, arguments="{}", output=output))


def step(obj_id: str, *calls: ToolCall, status: str | None = "completed") -> RunStep:
    """A step of a run."""
    details = StepDetails(type="tool_calls", tool_calls=calls)
    return RunStep(id=obj_id, status=status, step_details=details)


def waiting(*calls: ToolCall) -> Run:
    """A run that waits for outputs."""
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    return Run(id="r", status="requires_action", required_action=action)


def submit(*outputs: tuple[str, str], hint: str = "") -> ops.SubmitOutputs:
    """Outputs that are lost, by the ids of their calls and their texts."""
    given = tuple(ToolOutput(tool_call_id=one, output=text) for one, text in outputs)
    return ops.SubmitOutputs(thread_id="t", run_id="r", tool_outputs=given, hint=hint)


@pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "expired", "cancelling"])
def test_a_run_that_waits_no_more_has_taken_them(status: str) -> None:
    """Or it has ended, and takes none: its status tells."""
    world = World(run=Run(id="r", status=status))

    assert world.became(submit(("", "1"), hint="s1")) == Found(Run(id="r", status=status))
    assert world.names == ["RetrieveRun"]
    assert (getattr(world.asked[0], "thread_id", ""), getattr(world.asked[0], "run_id", "")) == (
        "t",
        "r",
    )


@pytest.mark.parametrize(
    ("status", "taken"),
    [
        ("completed", True),
        ("failed", True),
        ("cancelled", True),
        ("expired", True),
        ("in_progress", False),
        ("requires_action", False),
    ],
)
def test_a_round_is_known_by_its_step(status: str, taken: bool) -> None:
    """An identical next round, without ids, is another one if the step of this one is over."""
    run_ = waiting(call())
    steps = [step("s2", status="in_progress"), step("s1", call("", "1"), status=status)]
    found = World(run=run_, steps=steps).became(submit(("", "1"), hint="s1"))

    assert found == (Found(run_) if taken else NotReceived())


def test_other_calls_are_another_round() -> None:
    """Where all have ids, the next round needs no look at the steps' texts."""
    run_ = waiting(call("b"))

    assert World(run=run_).became(submit(("a", "1"))) == Found(run_)
    assert World(run=run_).became(submit(("b", "1"))) == NotReceived()


@pytest.mark.parametrize(
    ("sent", "waits"),
    [([("", "1")], ["b"]), ([("a", "1")], [""]), ([("a", "1"), ("b", "2")], ["b"])],
)
def test_calls_without_ids_may_be_the_same(sent: list[tuple[str, str]], waits: list[str]) -> None:
    """So may be calls of which one is the same."""
    run_ = waiting(*map(call, waits))

    assert World(run=run_).became(submit(*sent)) == NotReceived()


@pytest.mark.parametrize("hint", ["", "gone"])
@pytest.mark.parametrize(
    ("over", "clear"),
    [
        (step("s1", call("", "1"), call("", "2")), False),
        (step("s1", call("", "2"), call("", "1")), False),
        (step("s1", call("", "1"), call("", "3")), True),
        (step("s1", call("", "1")), True),
        (step("s1", call("", "1"), call("", None)), False),
        (step("s1", call("", ""), call("", "")), False),
        (step("s1", call("", "1"), call("", "2"), status=None), False),
        (step("s1", call("", "1"), call("", "2"), status="in_progress"), True),
        (step("s1", call("x", "1"), call("y", "2")), False),
        (step("s1", ToolCall(type="p", plugin=PluginCall(output="1"))), True),
        (RunStep(id="s1", status="completed"), True),
        (RunStep(id="s1", status="completed",
                 step_details=StepDetails(message_creation=MessageCreation(message_id="m"))), True),
    ],
)  # fmt: skip
def test_without_its_step_a_round_is_known_by_its_outputs(
    over: RunStep, clear: bool, hint: str
) -> None:
    """A step that has taken such outputs, or does not show them, may be the one that took ours."""
    steps = [step("s2", call(), call(), status="in_progress"), over]
    world = World(run=waiting(call(), call()), steps=steps)
    found = world.became(submit(("", "1"), ("", "2"), hint=hint))

    assert isinstance(found, NotReceived if clear else Unclear)


def test_a_step_of_other_calls_has_not_taken_them() -> None:
    """Ids that differ are stronger than texts that are the same."""
    world = World(run=waiting(call("b")), steps=[step("s1", call("a", "1"))])
    assert world.became(submit(("b", "1"))) == NotReceived()

    repeated = World(run=waiting(call("b")), steps=[step("s1", call("b", "1"))])
    assert isinstance(repeated.became(submit(("b", "1"))), Unclear)


def test_a_step_without_a_status_does_not_tell() -> None:
    """Then what it shows counts."""
    taken = World(run=waiting(call()), steps=[step("s1", call("", "1"), status=None)])
    other = World(run=waiting(call()), steps=[step("s1", call("", "2"), status="")])

    assert isinstance(taken.became(submit(("", "1"), hint="s1")), Unclear)
    assert other.became(submit(("", "1"), hint="s1")) == NotReceived()


def test_all_steps_are_looked_through() -> None:
    """The one that was answered may be on a later page."""
    steps = [step(str(number)) for number in range(5)]
    run_ = waiting(call())
    world = World(run=run_, steps=steps)

    assert world.became(submit(("", "1"), hint="4"), size=2) == Found(run_)
    assert world.names == ["RetrieveRun", "ListSteps", "ListSteps", "ListSteps"]


# What cannot be looked for.


@pytest.mark.parametrize(
    "operation",
    [
        ops.CreateAssistant(params={}),
        ops.CreateThreadAndRun(params={"assistant_id": "a"}),
        ops.CreateFiles(files=(Upload(filename="f", size=1, content=None),)),
        ops.CreateRun(
            thread_id="t", params={"assistant_id": "a", "tool_output": ToolOutput(output="1")}
        ),
        ops.CreateThread(),
    ],
)
def test_some_leave_no_trace(operation: Operation[Any]) -> None:
    """Without a mark, and on no thread that is known, nothing can be asked."""
    assert inquiry(operation, World().past(), 20) is None


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (ops.CreateAssistant(params={}), "look at assistants.list()"),
        (ops.AttachFile(assistant_id="a", file_id="f"), "look at assistants.files.list('a')"),
        (say(), "look at threads.messages.list('t')"),
        (begin(), "look at threads.runs.list('t')"),
        (submit(), "look at threads.runs.retrieve('t', 'r') and at its steps"),
        (ops.CreateFiles(files=()), "look at files.list()"),
        (ops.CreateThreadAndRun(params={"assistant_id": "a"}), "create the thread first"),
        (ops.CreateThread(), "nothing that can be read tells"),
    ],
)
def test_it_is_said_where_to_look(operation: Operation[Any], words: str) -> None:
    """The call that shows it, with its ids."""
    assert words in whereabouts(operation)


def test_every_request_that_is_looked_for_has_words() -> None:
    """Nobody is told to look at nothing."""
    assert set(reconcile.WHEREABOUTS) == {
        ops.CreateAssistant, ops.AttachFile, ops.CreateMessage, ops.CreateRun,
        ops.SubmitOutputs, ops.CreateFiles, ops.CreateThreadAndRun,
    }  # fmt: skip
