"""One server, two wires: what was made through one vendor's SDK is read through the other's."""

from pathlib import Path
from typing import Any

import pytest
from appbuilder_sdk import calls as appbuilder
from appbuilder_sdk.calls import SDK
from dashscope import Assistants, Files, Messages, Runs, Steps, Threads
from dashscope.assistants.files import Files as AssistantFiles
from dashscope.threads.messages.files import Files as MessageFiles
from dashscope_sdk import calls as dashscope

CALL = '/call get_weather {"city":"杭州"}'
WEATHER = appbuilder.WEATHER


@pytest.fixture(autouse=True)
def _sdks(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both SDKs talk to the one open server."""
    appbuilder.point_at(server, monkeypatch)
    dashscope.point_at(f"{server}/api/v1", monkeypatch)


def test_assistant_of_appbuilder_is_read_by_dashscope() -> None:
    """Names, instructions, tools and metadata are the same on both wires."""
    made = SDK.assistants.create(
        "天气", "d", model="m", instructions="简短", tools=[WEATHER], metadata={"键": "值"}
    )
    read = Assistants.get(made.id)
    assert (read.status_code, read.id, read.object) == (200, made.id, "assistant")
    assert (read.name, read.description, read.model) == ("天气", "d", "m")
    assert (read.instructions, read.metadata) == ("简短", {"键": "值"})
    assert read.created_at == made.created_at
    assert read.tools[0].function.name == "get_weather"
    assert Assistants.list(limit=1).data[0].id == made.id
    Assistants.update(made.id, name="new")
    assert SDK.assistants.query(made.id).name == "new"


def test_assistant_of_dashscope_is_read_by_appbuilder() -> None:
    """The same the other way round, down to the deletion."""
    made = Assistants.create(
        model="qwen-plus", name="天气", instructions="简短", tools=[WEATHER], metadata={"键": "值"}
    )
    read = SDK.assistants.query(made.id)
    assert (read.id, read.object, read.name) == (made.id, "assistant", "天气")
    assert (read.instructions, read.metadata) == ("简短", {"键": "值"})
    assert read.created_at == made.created_at
    assert [tool.function.name for tool in read.tools] == ["get_weather"]
    assert SDK.assistants.list(limit=1).data[0].id == made.id
    assert SDK.assistants.delete(made.id).deleted is True
    assert dashscope.error_of(Assistants.get(made.id)) == dashscope.gone("assistant")


def test_run_of_appbuilder_is_read_by_dashscope() -> None:
    """Assistant, thread, message and run, made through one and read through the other."""
    assistant = SDK.assistants.create("test", "", instructions="i").id
    thread = SDK.threads.create().id
    message = SDK.threads.messages.create(thread, "你好").id
    run = SDK.threads.runs.run(assistant, thread)
    assert run.status == "completed"

    assert Assistants.get(assistant).instructions == "i"
    assert Threads.get(thread).id == thread
    assert Messages.get(message, thread_id=thread).content[0].text.value == "你好"
    read = Runs.get(run.id, thread_id=thread)
    assert (read.id, read.status, read.assistant_id) == (run.id, "completed", assistant)
    assert (read.created_at, read.completed_at) == (run.created_at, run.completed_at)
    (step,) = Steps.list(run.id, thread_id=thread).data
    answer = Messages.get(step.step_details.message_creation["message_id"], thread_id=thread)
    assert answer.content[0].text.value == appbuilder.answer_of(run) == "你好"


def test_run_of_dashscope_is_read_by_appbuilder() -> None:
    """The same the other way round."""
    assistant = Assistants.create(model="qwen-plus", instructions="i").id
    thread = Threads.create(metadata={"k": "v"}).id
    message = Messages.create(thread, content="你好").id
    run = Runs.wait(Runs.create(thread, assistant_id=assistant).id, thread_id=thread)
    assert run.status == "completed"

    assert SDK.assistants.query(assistant).instructions == "i"
    assert SDK.threads.query(thread).metadata == {"k": "v"}
    assert SDK.threads.messages.query(thread, message).content[0].text.value == "你好"
    read = SDK.threads.runs.query(thread, run.id)
    assert (read.id, read.status, read.model) == (run.id, "completed", "qwen-plus")
    assert (read.created_at, read.completed_at) == (run.created_at, run.completed_at)
    (step,) = SDK.threads.runs.steps.list(thread, run.id).data
    answer = SDK.threads.messages.query(thread, step.step_datail.message_creation.message_id)
    assert (answer.role, answer.run_id) == ("assistant", run.id)
    assert answer.content[0].text.value == "你好"


def test_streams_tell_the_same_run() -> None:
    """The text of a run that was streamed on one wire is what the other reads."""
    events = list(appbuilder.stream("/say 你好, 世界"))
    run = appbuilder.run_of(events)
    (answer, _) = Messages.list(run.thread_id).data
    assert answer.content[0].text.value == appbuilder.text_of(events) == "你好, 世界"
    told = dashscope.stream("/say 你好, 世界")
    thread = told[0][1].thread_id
    (answer, _) = SDK.threads.messages.list(thread).data
    assert answer.content[0].text.value == dashscope.text_of(told) == "你好, 世界"


def test_call_of_an_appbuilder_run_is_answered_by_dashscope() -> None:
    """A run that waits on one wire goes on over the other; the open stream tells it."""
    seen: list[Any] = []
    for event in appbuilder.stream(CALL):
        seen.append(event)
        if event.status == "requires_action":
            run = appbuilder.run_of(seen)
            waiting = Runs.get(run.id, thread_id=run.thread_id)
            assert waiting.status == "requires_action"
            outputs = dashscope.outputs_for(waiting, "rain")
            Runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=outputs)
    assert (seen[-1].event_type, seen[-1].status) == ("run_end", "completed")
    assert appbuilder.text_of(seen) == "get_weather -> rain"


def test_call_of_a_dashscope_run_is_answered_by_appbuilder() -> None:
    """The same the other way round, by the second call of `run`."""
    waiting = dashscope.finish(CALL)
    read = SDK.threads.runs.query(waiting.thread_id, waiting.id)
    assert read.status == "requires_action"
    done = appbuilder.go_on(read, "rain")
    assert (done.id, done.status) == (waiting.id, "completed")
    assert appbuilder.answer_of(done) == "get_weather -> rain"
    assert Runs.get(waiting.id, thread_id=waiting.thread_id).status == "completed"


def test_tools_of_a_run_are_the_assistants_or_its_own() -> None:
    """AppBuilder's SDK sends an empty list for none, which leaves the assistant its tools."""
    made = SDK.assistants.create("test", "", tools=[WEATHER]).id
    other = {**WEATHER, "function": {**appbuilder.FUNCTION, "name": "other"}}
    for given, names in (({}, ["get_weather"]), ({"tools": [other]}, ["other"])):
        run = appbuilder.begin("x", assistant_id=made, **given)
        assert SDK.threads.runs.query(run.thread_id, run.id).tools == []
        read = Runs.get(run.id, thread_id=run.thread_id)
        assert [tool["function"]["name"] for tool in read.tools] == names


def test_metadata_of_a_run_is_kept() -> None:
    """AppBuilder never tells the metadata of a run; DashScope does."""
    run = appbuilder.begin("x", metadata={"键": "值"})
    assert Runs.get(run.id, thread_id=run.thread_id).metadata == {"键": "值"}


def test_file_of_appbuilder_is_read_by_dashscope(tmp_path: Path) -> None:
    """One store has the files of both; times are seconds here and a text there."""
    made = appbuilder.upload(tmp_path, "a.txt", b"hello", purpose="assistant")
    read = Files.get(made.id).output
    assert (read["file_id"], read["name"], read["size"]) == (made.id, "a.txt", 5)
    assert read["purpose"] == "assistant"
    assistant = Assistants.create(model="m", file_ids=[made.id]).id
    assert [file.id for file in SDK.assistants.mounted_files_list(assistant).data] == [made.id]
    assert Files.delete(made.id).status_code == 200
    with pytest.raises(ValueError, match="is not exist"):
        SDK.assistants.files.query(made.id)


def test_file_of_dashscope_is_read_by_appbuilder(tmp_path: Path) -> None:
    """Its bytes can be downloaded, which DashScope has no call for, under a name made safe."""
    content = "你好\n".encode() * 999
    made = dashscope.file_of(dashscope.upload(tmp_path, "报告 1.md", content))
    read = SDK.assistants.files.query(made)
    assert (read.id, read.bytes, read.object) == (made, len(content), "file")
    assert SDK.assistants.files.content(made).content == content
    folder = tmp_path / "folder"
    folder.mkdir()
    SDK.assistants.files.download(made, f"{folder}/")
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("1.md", content)]


def test_files_of_assistants_and_messages_are_shared(tmp_path: Path) -> None:
    """What one SDK mounts or sends with a message, the other lists."""
    file = appbuilder.upload(tmp_path).id
    assistant = Assistants.create(model="m").id
    SDK.assistants.mount_files(assistant, file)
    assert [item.id for item in AssistantFiles.list(assistant).data] == [file]
    AssistantFiles.delete(file, assistant_id=assistant)
    assert SDK.assistants.mounted_files_list(assistant).data == []
    thread = SDK.threads.create([{"content": "x", "file_ids": [file]}]).id
    (message,) = Messages.list(thread).data
    assert [item.id for item in MessageFiles.list(message.id, thread_id=thread).data] == [file]
    thread = Threads.create(messages=[{"role": "user", "content": "x", "file_ids": [file]}]).id
    (message,) = SDK.threads.messages.list(thread).data
    assert [item.id for item in SDK.threads.messages.files(thread, message.id).data] == [file]


def test_busy_thread_is_busy_on_both_wires() -> None:
    """A run that waits on one wire keeps the thread from the other; cancelled there, it is free."""
    run = appbuilder.begin(CALL)
    refused = Runs.create(run.thread_id, assistant_id=run.assistant_id)
    assert dashscope.error_of(refused)[0] == 400
    assert Runs.cancel(run.id, thread_id=run.thread_id).status == "cancelled"
    assert SDK.threads.runs.query(run.thread_id, run.id).status == "cancelled"
    waiting = dashscope.finish(CALL)
    more = {"messages": [{"content": "x"}]}
    code, _ = appbuilder.refused(
        SDK.threads.runs.run, waiting.assistant_id, waiting.thread_id, more
    )
    assert code == appbuilder.INVALID
    assert SDK.threads.runs.cancel(waiting.id, waiting.thread_id).status == "cancelled"
    assert Runs.get(waiting.id, thread_id=waiting.thread_id).status == "cancelled"


def test_appbuilder_sees_the_usual_workspace_only() -> None:
    """It knows no workspaces: what DashScope has in one of its own is not there."""
    here = {"workspace": dashscope.new_workspace()}
    made = Assistants.create(model="m", **here).id
    assert appbuilder.refused(SDK.assistants.query, made)[0] == appbuilder.GONE
    assert Assistants.get(made, **here).status_code == 200
