"""How machines are told on the page."""

from coordinator.pages.shown import gpus_of
from mesh.core.types import Accelerator, Machine


def machine(*gpus: Accelerator) -> Machine:
    return Machine("desk", "Linux x86_64", 8, 1 << 34, "0.1.0", gpus)


def test_gpus_are_named_once_each_with_their_memory() -> None:
    card = Accelerator("NVIDIA L4", "cuda", 24 << 30)
    assert gpus_of(machine()) == ""
    assert gpus_of(machine(card)) == "NVIDIA L4 24\u00a0GB"
    assert gpus_of(machine(card, card, Accelerator("Iris Xe", "vulkan"))) == (
        "2 x NVIDIA L4 24\u00a0GB, Iris Xe"
    )


def test_an_idle_one_is_told_where_there_is_room_for_it() -> None:
    idle = Accelerator("NVIDIA L4", "cuda", idle=True)
    assert gpus_of(machine(idle)) == "NVIDIA L4"
    assert gpus_of(machine(idle), whether_idle=True) == (
        "NVIDIA L4 (unused: its engine was built without it)"
    )


def test_a_machine_that_tells_of_many_kinds_fills_no_page() -> None:
    many = [Accelerator(f"card {number}", "cuda") for number in range(16)]
    assert gpus_of(machine(*many)) == "card 0, card 1, card 2, 13 more kinds"
