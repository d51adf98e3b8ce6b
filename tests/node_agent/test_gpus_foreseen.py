"""What will be on a GPU takes no room of the machine's memory, before the first load already."""

from dataclasses import replace

from mesh.installed_engine import EngineDevice, InstalledEngine
from node_agent.budget import Fits, Never
from node_agent.library.view import LibraryEntry
from node_agent.memory import MARGIN_BYTES, Footprint
from node_agent.replica import Loaded, Replica
from node_agent.room import MachineRoom, Memory
from tests.node_agent.played_engines import entry

GB = 1 << 30
LAYERS = 31  # and the output


def model(name: str, *, embeds: bool = False) -> LibraryEntry:
    made = entry(name, size_bytes=8 * GB, context_tokens=2_048, embeds=embeds)
    return replace(made, shape=replace(made.shape, layers=LAYERS))


def replica(name: str, ordinal: int, *, embeds: bool = False) -> Replica:
    made = model(name, embeds=embeds)
    footprint = Footprint.of(made.shape, made.model.size_bytes, embeds=embeds)
    return Replica(made, ordinal, 1, footprint, 2_048, 2_048)


def room(*gpus_free_bytes: int, free_bytes: int = GB) -> MachineRoom:
    memory = Memory(
        lambda: free_bytes, lambda: 64 * GB, lambda _engine: None, lambda: gpus_free_bytes
    )
    return MachineRoom(memory, 1.0, 1)


def test_a_model_that_fits_a_gpu_needs_little_memory_for_its_first_load() -> None:
    assert isinstance(room(24 * GB).verdict(replica("first", 1)), Fits)
    assert isinstance(room().verdict(replica("first", 1)), Never), "the engine can use no GPU"
    assert isinstance(room(0).verdict(replica("first", 1)), Never), "others have all of the GPU"


def test_a_part_that_fits_counts_as_a_part() -> None:
    needed = replica("first", 1).footprint.taken_bytes(1, 2_048) + MARGIN_BYTES
    assert isinstance(room(6 * GB, free_bytes=needed // 2).verdict(replica("first", 1)), Fits)
    assert isinstance(room(2 * GB, free_bytes=needed // 2).verdict(replica("first", 1)), Never)
    two_small = room(7 * GB // 2, 7 * GB // 2, free_bytes=needed // 2)
    assert isinstance(two_small.verdict(replica("first", 1)), Fits)


def test_a_second_model_gets_what_the_first_one_leaves() -> None:
    played = room(10 * GB)
    first, second = replica("first", 1), replica("second", 2)
    played.promise(first)
    first.load = Loaded()
    assert isinstance(played.verdict(second), Never)
    first.load = None
    played.take_back(first)
    assert isinstance(played.verdict(second), Fits)


def test_a_load_that_left_layers_to_the_processor_is_believed() -> None:
    loaded = replica("first", 1)
    loaded.footprint = loaded.footprint.with_layers(0)
    assert isinstance(room(24 * GB).verdict(loaded), Never)


def test_one_that_embeds_is_never_on_a_gpu() -> None:
    assert isinstance(room(24 * GB).verdict(replica("vectors", 1, embeds=True)), Never)


def test_integrated_gpus_are_given_layers_only_where_there_is_no_other() -> None:
    card, part = (
        EngineDevice(name=kind, description="", kind=kind, memory_bytes=GB, free_bytes=GB)
        for kind in ("gpu", "integrated gpu")
    )
    assert InstalledEngine(devices=(part, card)).given_layers == (card,)
    assert InstalledEngine(devices=(part,)).given_layers == (part,)
