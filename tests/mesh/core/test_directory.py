"""The index stays in step with the nodes, whatever they come to hold."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.core.directory import Directory
from mesh.core.types import Model, ModelId, NodeId
from tests.mesh.core.script import Script, a_model

POOL = [
    a_model(name, *also, digit=digit, test=test)
    for digit, name, also, test in [
        ("1", "llama", ("Chat",), False),
        ("1", "my-llama", (), False),  # the same weights by another name
        ("2", "qwen", ("chat",), False),
        ("3", "tiny", (), True),
        ("4", "big", ("BIG", "big"), False),
    ]
]
names = st.sampled_from(["desk", "shelf", "attic"])
holdings = st.lists(st.sampled_from(POOL), max_size=5, unique_by=lambda model: model.model_id)


def check(directory: Directory) -> None:
    """Everything the index says follows from the nodes, and the other way round."""
    held: dict[ModelId, set[NodeId]] = {}
    called: dict[str, set[ModelId]] = {}
    for node in directory.nodes.values():
        for model_id, replica in node.replicas.items():
            held.setdefault(model_id, set()).add(node.node_id)
            for name in replica.model.names:
                called.setdefault(name.lower(), set()).add(model_id)
    spellings = {name.lower() for model in POOL for name in model.names}
    assert {name: set(directory.resolve(name)) for name in spellings} == {
        name: called.get(name, set()) for name in spellings
    }
    for model in POOL:
        model_id = model.model_id
        known = directory.model(model_id)
        assert (known is not None) == (model_id in held)
        assert directory.resolve(model_id) == ((model_id,) if model_id in held else ())
        if known is not None:
            pools = directory.holders(model_id)
            every = list(pools.every.walk())
            assert {each.node.node_id for each in every} == held[model_id]
            assert all(each is each.node.replicas[model_id] for each in every)
            assert all(each.node is directory.nodes[each.node.node_id] for each in every)
            free = {each.node.node_id for each in pools.free.walk()}
            able = {each.node.node_id for each in pools.able.walk()}
            full = {each.node.node_id for each in pools.full.walk()}
            assert full == able - free
            assert free == {each.node.node_id for each in every if each.can_begin}
            assert able == {each.node.node_id for each in every if each.able}
    assert set(directory.automatic()) == automatic(directory, held)


def automatic(directory: Directory, held: dict[ModelId, set[NodeId]]) -> set[ModelId]:
    models = [directory.model(model_id) for model_id in held]
    real = {each.model_id for each in models if each is not None and not each.test}
    return real or set(held)


@given(st.lists(st.tuples(names, st.none() | holdings), max_size=12))
def test_the_index_follows_the_nodes(history: list[tuple[str, list[Model] | None]]) -> None:
    """None: the node is forgotten."""
    script = Script()
    for name, models in history:
        if models is None:
            script.fleet.directory.forget(NodeId(name))
        else:
            script.attach(name, *models)
        check(script.fleet.directory)
    for name in ("desk", "shelf", "attic"):
        script.fleet.directory.forget(NodeId(name))
    assert repr(script.fleet.directory) == repr(Directory())


def test_a_name_that_a_node_gave_up_is_not_kept_for_those_who_never_used_it(
    script: Script,
) -> None:
    """A node that lists a shared model under ever new names must not grow the index."""
    script.attach("shelf", a_model("llama", digit="1"))
    for i in range(50):
        script.attach("desk", a_model(f"alias{i}", digit="1"))
        script.leave("desk")
    assert script.fleet.directory.resolve("alias48") == ()
    assert len(script.fleet.directory.resolve("alias49")) == 1


def test_names_are_listed_once_and_sorted(script: Script) -> None:
    script.attach("desk", POOL[2], POOL[4])
    script.attach("shelf", POOL[2], POOL[0])
    assert script.fleet.directory.names() == ["big", "llama", "qwen"]


def test_who_tells_more_of_a_model_describes_it(script: Script) -> None:
    plain = POOL[0]
    special = replace(plain, domains=("networking",))
    script.attach("desk", plain)
    script.attach("shelf", special)
    assert script.fleet.directory.model(plain.model_id) == special
    script.attach("shelf", plain)  # its owner has taken that back
    assert script.fleet.directory.model(plain.model_id) == plain
