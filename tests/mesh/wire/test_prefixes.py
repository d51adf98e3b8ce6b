"""Prefixes on the wire: what a request hashes to, and how far a node's word is taken."""

from dataclasses import replace

from mesh.core.blocks import BLOCK_BYTES, block_hashes, canonical_bytes, message_piece
from mesh.core.types import (
    PREFIXES_MAX,
    Model,
    ModelId,
    ModelIdentity,
    Offer,
    PrefixHeld,
    ReplicaState,
    ReplicaStatus,
)
from mesh.v1 import fleet_pb2 as fleet
from mesh.v1 import inference_pb2 as inference
from mesh.wire.generations import read_generation
from mesh.wire.nodes import read_statuses, write_status
from mesh.wire.prefixes import PromptHashes, hash_blocks

KEY, MODEL = b"k" * 32, ModelId("model")
OFFER = Offer(Model(ModelIdentity("a" * 64, "", "Q8_0"), ("m",), "llama", 1, 1, 4096), 4096)


def asking(*texts: str) -> inference.GenerateRequest:
    messages = [
        inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=text)])
        for text in texts
    ]
    return inference.GenerateRequest(request_id="1", messages=messages)


def test_a_conversation_that_goes_on_shares_the_hashes_of_its_beginning() -> None:
    first = asking("a" * 3000)
    later = asking("a" * 3000, "b" * 2000, "c")
    begun, went_on = (hash_blocks(MODEL, each, key=KEY) for each in (first, later))
    assert len(begun) == 5
    assert went_on[:5] == begun
    assert len(went_on) > 5


def test_parts_of_a_message_are_one_text_and_thoughts_are_none() -> None:
    whole = asking("a" * 1000)
    parted = inference.GenerateRequest()
    parts = parted.messages.add(role=inference.ROLE_USER).parts
    parts.add(text="a" * 400)
    parts.add(reasoning="hm" * 500)
    parts.add(text="a" * 600)
    assert hash_blocks(MODEL, parted, key=KEY) == hash_blocks(MODEL, whole, key=KEY)


def test_the_chain_ends_before_an_image() -> None:
    seen = asking("a" * 1000, "b" * 1000)
    seen.messages[1].parts.add(image=inference.Image(media_type="image/png", data=b"x"))
    expected = block_hashes(MODEL, [message_piece("user", "", "", "a" * 1000)], key=KEY)
    assert hash_blocks(MODEL, seen, key=KEY) == expected


def test_a_node_counts_the_bytes_that_its_coordinator_hashed() -> None:
    request = asking("é" * 700, "b" * 900)
    work = read_generation(request)
    size_bytes = canonical_bytes(work.tools, work.messages)
    assert size_bytes // BLOCK_BYTES == len(hash_blocks(MODEL, request, key=KEY))


def test_what_a_node_says_that_it_holds_is_bounded() -> None:
    many = [fleet.PrefixHeld(block_hash=2**64 - 1, tokens=2**32 - 1)] * 1000
    report = fleet.ReplicaReport(
        ordinal=1, state=inference.REPLICA_STATE_WARM, slots=1, prefixes=many
    )
    ((_, status),) = read_statuses([report], {1: OFFER})
    assert status.prefixes == (PrefixHeld(2**64 - 1, 4096),) * PREFIXES_MAX


def test_what_is_held_comes_out_as_it_went_in() -> None:
    held = tuple(PrefixHeld(2**64 - 1 - number, 10 * number) for number in range(PREFIXES_MAX))
    status = replace(ReplicaStatus(ReplicaState.WARM), prefixes=held)
    assert read_statuses([write_status(1, status)], {1: OFFER})[0][1] == status


def test_a_prompt_is_hashed_once_a_model() -> None:
    request = asking("a" * 2000)
    hashes = PromptHashes(request, key=KEY)
    assert hashes(MODEL) == hash_blocks(MODEL, request, key=KEY)
    assert hashes(MODEL) is hashes(MODEL)
    assert hashes(ModelId("other")) != hashes(MODEL)
