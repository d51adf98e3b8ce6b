"""The fleet as a whole: how it shows itself, and that it depends on nothing but its input."""

from tests.mesh.core.script import LLAMA, Script


def test_a_fleet_shows_itself_on_one_line(script: Script) -> None:
    assert repr(script.fleet) == "<Fleet no nodes; 0 running, 0 waiting, 0 in all>"
    script.attach("desk", LLAMA)
    script.attach("shelf", LLAMA)
    for name in ("r1", "r2", "r3"):
        script.ask(name)
    script.drain("shelf")
    assert repr(script.fleet) == (
        "<Fleet desk:alive/1 shelf:draining/1; 2 running, 1 waiting, 3 in all>"
    )
    assert repr(script.node("desk")) == "<Node desk alive, epoch 1, 1 running>"


def test_a_large_fleet_shows_itself_on_one_line_too(script: Script) -> None:
    for i in range(1000):
        script.attach(f"n{i}", LLAMA)
    assert repr(script.fleet).startswith("<Fleet n0:alive/0 n1:alive/0")
    assert " of 1000; " in repr(script.fleet)
    assert len(repr(script.fleet)) < 200


def test_the_same_events_and_seed_give_the_same_actions() -> None:
    def play() -> list[str]:
        script = Script(seed=42)
        actions = [action for i in range(20) for action in script.attach(f"n{i}", LLAMA)]
        for i in range(30):
            actions += script.ask(f"r{i}")
        actions += script.after(3)
        return [str(action) for action in actions]

    assert play() == play()


def test_another_seed_breaks_ties_in_another_way() -> None:
    def play(seed: int) -> list[str]:
        script = Script(seed=seed)
        for i in range(20):
            script.attach(f"n{i}", LLAMA)
        return [str(action) for i in range(10) for action in script.ask(f"r{i}")]

    assert play(1) != play(2)
