"""Which node a word means, and how its state reads."""

import pytest

from mesh.cli.draining import NAMES_SHOWN_MAX, named
from mesh.cli.status import state_of, warn_of_idle_gpus
from mesh.errors import InvalidRequest
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import operations_pb2 as operations


def a_node(name: str, node_id: str = "", **more: object) -> operations.NodeView:
    view = operations.NodeView(
        node_id=node_id or f"{sum(name.encode()):032x}",
        machine=fleet.MachineInfo(name=name),
        state=operations.NODE_STATE_ALIVE,
    )
    for field, value in more.items():
        setattr(view, field, value)
    return view


DESK, TWIN, SHELF = (
    a_node("desk", "aaaaaa11"),
    a_node("desk", "bbbbbb22"),
    a_node("Shelf", "cccccc33"),
)


@pytest.mark.parametrize("word", ["shelf", "Shelf", " SHELF ", "cccccc33", "cccccc", "CCCCCC3"])
def test_a_node_is_named_by_name_or_id(word: str) -> None:
    assert named([DESK, TWIN, SHELF], word) is SHELF


@pytest.mark.parametrize("word", ["attic", "cc", ""])
def test_an_unknown_name_is_answered_with_those_there_are(word: str) -> None:
    with pytest.raises(InvalidRequest, match="no node is called") as refused:
        named([DESK, SHELF], word)
    assert refused.value.hint == "there is desk, Shelf"


def test_many_names_are_not_all_told() -> None:
    nodes = [a_node(f"desk{number}") for number in range(NAMES_SHOWN_MAX + 3)]
    with pytest.raises(InvalidRequest) as refused:
        named(nodes, "attic")
    assert refused.value.hint.endswith(f"desk{NAMES_SHOWN_MAX - 1} and 3 more")


def test_without_a_node_there_is_no_name_to_tell() -> None:
    with pytest.raises(InvalidRequest) as refused:
        named([], "desk")
    assert refused.value.hint == "no node has attached yet"


def test_two_of_one_name_are_told_apart_by_id() -> None:
    with pytest.raises(InvalidRequest, match="2 nodes are called 'desk'") as refused:
        named([DESK, TWIN, SHELF], "desk")
    assert refused.value.hint == "name one by its id: aaaaaa11, bbbbbb22"
    assert named([DESK, TWIN], "bbbbbb22") is TWIN


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (a_node("desk"), "alive"),
        (a_node("desk", owner_busy=True), "owner busy"),
        (a_node("desk", reason="doubted: x"), "alive (doubted: x)"),
        (
            a_node(
                "desk",
                state=operations.NODE_STATE_DRAINING,
                reason="for repair",
                attempts_running=2,
            ),
            "draining (for repair), 2 running",
        ),
        (
            a_node(
                "desk",
                state=operations.NODE_STATE_ASLEEP,
                reason="went to sleep",
                state_for_s=300.0,
            ),
            "asleep (went to sleep), 5 min ago",
        ),
    ],
)
def test_a_state_says_what_an_operator_asks_next(node: operations.NodeView, words: str) -> None:
    assert state_of(node).plain == words


def test_a_gpu_that_an_engine_leaves_idle_is_told_with_what_to_run_where(
    capsys: pytest.CaptureFixture[str],
) -> None:
    idle = fleet.Accelerator(name="NVIDIA L4", kind="cuda", idle=True)
    used = fleet.Accelerator(name="Radeon", kind="vulkan")
    view = operations.MeshView(
        nodes=[
            operations.NodeView(machine=fleet.MachineInfo(name="desk", accelerators=[used])),
            operations.NodeView(machine=fleet.MachineInfo(name="shelf", accelerators=[idle, idle])),
        ]
    )
    warn_of_idle_gpus(view)
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "shelf: NVIDIA L4 unused: its engine was built without GPU support;"
        " there: deskmesh engine install --cuda"
    ]
