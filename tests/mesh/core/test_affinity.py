"""A request goes to where its beginning is held, unless others do better; strain costs."""

from dataclasses import replace

from mesh.core.actions import StartAttempt
from mesh.core.types import Load, PrefixHeld, ReplicaStatus
from tests.mesh.core.script import LLAMA, Script, only, warm


def hashed(script: Script, request_id: str, hashes: tuple[int, ...]) -> str:
    start = only(
        script.ask(request_id, prompt_bytes=8192, block_hashes=lambda _: hashes), StartAttempt
    )
    _, attempt = script.fleet.requests._books.running[start.attempt_id]
    return attempt.candidate.node_name


def holding(*hashes: int) -> tuple[PrefixHeld, ...]:
    return tuple(PrefixHeld(each, 128 * each) for each in hashes)


def test_a_request_goes_to_where_its_beginning_is_held(script: Script) -> None:
    for name in ("a", "b", "c"):
        script.attach(name, LLAMA, slots=4)
    script.report("b", (LLAMA, with_prefixes(*range(1, 13))))
    assert hashed(script, "r1", tuple(range(1, 17))) == "b"
    script.cancel("r1")
    script.report("b", (LLAMA, with_prefixes()))
    script.report("c", (LLAMA, with_prefixes(3)))
    assert hashed(script, "r2", tuple(range(1, 17))) == "c"


def with_prefixes(*hashes: int) -> ReplicaStatus:
    return replace(warm(16), prefixes=holding(*hashes))


def test_a_beginning_that_everybody_sends_does_not_drown_who_holds_it(script: Script) -> None:
    for name in ("a", "b", "c", "d"):
        script.attach(name, LLAMA, slots=16)
    script.report("a", (LLAMA, with_prefixes(*range(1, 13))))
    chosen = [hashed(script, f"r{i}", tuple(range(1, 17))) for i in range(16)]
    assert chosen[0] == "a"
    assert chosen.count("a") < 12
    assert {"b", "c", "d"} <= set(chosen)


def test_a_prompt_is_hashed_only_where_somebody_holds_beginnings(script: Script) -> None:
    asked: list[str] = []

    def hashes(model_id: str) -> tuple[int, ...]:
        asked.append(model_id)
        return (1, 2)

    script.attach("a", LLAMA, slots=4)
    script.ask("r1", prompt_bytes=8192, block_hashes=hashes)
    assert asked == []
    script.report("a", (LLAMA, with_prefixes(1)))
    script.ask("r2", prompt_bytes=100, block_hashes=hashes)
    assert asked == []
    script.ask("r3", prompt_bytes=8192, block_hashes=hashes)
    assert asked == [LLAMA.model_id]


def test_a_strained_machine_is_taken_only_where_it_is_much_quicker(script: Script) -> None:
    script.attach("laptop", LLAMA, load=Load(on_battery=True, battery=0.3))
    script.attach("mini", LLAMA, status=warm(prefill=400, decode=40))
    assert only(script.ask("r1"), StartAttempt).connection_id == 2
    script.cancel("r1")
    script.attach("box", LLAMA, status=warm(prefill=100, decode=10))
    script.lose("mini")
    assert only(script.ask("r2"), StartAttempt).connection_id == 1
