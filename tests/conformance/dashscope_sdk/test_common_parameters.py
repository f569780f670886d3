"""What every call of the SDK takes: workspace, headers, address, key, and time to wait."""

from pathlib import Path
from typing import Any

import dashscope
import pytest
import requests
from dashscope import Assistants, Files, Runs, Threads
from dashscope_sdk.calls import file_of, ids_of, new_assistant, new_file, new_workspace
from dashscope_sdk.every_call import EVERY, LISTS, MAKERS, OTHERS, STREAMS, World, went_well
from wire import KEY, Wire

NEEDY = [*OTHERS, *(f"{name} as a stream" for name in STREAMS)]
FIND = {"Assistants": Assistants.get, "Threads": Threads.get, "Files": Files.get}
# `Runs.wait` takes `**kwargs` and hands none of them on to the GET that it repeats.
DEAF = "Runs.wait"


def in_workspace(how: str, workspace: str) -> dict[str, Any]:
    """A workspace as a parameter, or as the header that it becomes."""
    if how == "workspace":
        return {"workspace": workspace}
    return {"headers": {"X-DashScope-WorkSpace": workspace}}


@pytest.mark.parametrize("call", NEEDY)
def test_call_finds_objects_of_its_workspace(call: str, tmp_path: Path) -> None:
    """An object is there for a call that names its workspace, and for no other."""
    world = World(tmp_path, {"workspace": new_workspace()})
    assert not went_well(EVERY[call](world))
    assert not went_well(EVERY[call](world, workspace=new_workspace()))
    assert went_well(EVERY[call](world, **world.where))


@pytest.mark.parametrize("call", NEEDY)
def test_header_of_a_call_is_sent(call: str, tmp_path: Path) -> None:
    """`headers` are sent and win over the SDK's own; `Runs.wait` drops them."""
    world = World(tmp_path, {"workspace": new_workspace()})
    header = in_workspace("headers", world.where["workspace"])
    assert went_well(EVERY[call](world, workspace=new_workspace(), **header)) == (call != DEAF)


@pytest.mark.parametrize("how", ["workspace", "headers"])
@pytest.mark.parametrize("call", MAKERS)
def test_new_object_is_in_the_workspace_of_its_call(call: str, how: str, tmp_path: Path) -> None:
    """What is made in a workspace is found there only."""
    workspace = new_workspace()
    answer = MAKERS[call](World(tmp_path), **in_workspace(how, workspace))
    find = FIND[call.partition(".")[0]]
    made = file_of(answer) if call == "Files.upload" else answer.id
    assert went_well(find(made, workspace=workspace))
    assert not went_well(find(made))


@pytest.mark.parametrize("how", ["workspace", "headers"])
def test_list_is_of_the_workspace_of_its_call(how: str, tmp_path: Path) -> None:
    """What is listed is what is in the workspace."""
    workspace = new_workspace()
    here = in_workspace(how, workspace)
    made = new_assistant(workspace=workspace).id
    file = new_file(tmp_path, workspace=workspace)
    assert ids_of(LISTS["Assistants.list"](None, **here)) == [made]
    (listed,) = LISTS["Files.list"](None, **here).output["files"]
    assert listed["file_id"] == file


@pytest.mark.parametrize("call", EVERY)
def test_call_can_name_its_address(
    call: str, server: str, locked_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`base_address` is where this call goes; `Runs.wait` drops it.

    All others go to a server that refuses the SDK's key.
    """
    monkeypatch.setattr(dashscope, "base_http_api_url", locked_server)
    world = World(tmp_path, {"base_address": server})
    assert not went_well(EVERY[call](world))
    assert went_well(EVERY[call](world, **world.where)) == (call != DEAF)


@pytest.mark.parametrize("call", EVERY)
def test_call_can_bring_its_key(
    call: str, locked_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`api_key` is the key of this call; `Messages.call` drops it."""
    monkeypatch.setattr(dashscope, "base_http_api_url", locked_server)
    world = World(tmp_path, {"api_key": KEY})
    assert not went_well(EVERY[call](world))
    assert went_well(EVERY[call](world, **world.where)) == (call != "Messages.call")


@pytest.mark.parametrize("call", [call for call in EVERY if call != DEAF])
def test_call_waits_no_longer_than_it_is_told(
    call: str, server: str, silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`request_timeout` ends a call that is not answered."""
    world = World(tmp_path, {"base_address": server})
    went_well(EVERY[call](world, **world.where))  # so that all objects are there
    monkeypatch.setattr(dashscope, "base_http_api_url", silent)
    with pytest.raises(requests.Timeout):
        EVERY[call](world, request_timeout=0.02)


def test_wait_hands_nothing_on(wire: Wire, silent: str, tmp_path: Path) -> None:
    """`Runs.wait` forgets address, headers and time: it asks the usual server in its usual way.

    On the wire its request is that of `Runs.get`, which takes the header.
    """
    world = World(tmp_path)
    ids = {"thread_id": world.thread}
    lost = {
        "base_address": silent,
        "headers": in_workspace("headers", new_workspace())["headers"],
        "request_timeout": 0.02,
    }
    assert Runs.wait(world.run, **ids, **lost).status == "requires_action"
    path = f"/threads/{world.thread}/runs/{world.run}"
    assert wire.call("GET", path).json["status"] == "requires_action"
    assert wire.call("GET", path, headers=lost["headers"]).status == 400
