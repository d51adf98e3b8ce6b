"""What an adopted engine's model is to the mesh: an identity of its own.

It is not that of the weights, even where they are known. A model of the mesh goes on at another
machine in the middle of an answer, exactly, and an engine that tells no token ids can neither go on
nor be continued; nor does another engine's template, sampler or cache promise the same text. And a
node has one replica of a model: two under one identity would hide each other. So names bring them
together: a request for the name finds both, and routing picks.

The identity is made of what any machine with the same engine would say: the kind of the engine, the
model's name, its digest, size and quantisation there. Where several engines of one machine say the
same, the second and later ones differ in the place of the template's digest.
"""

from hashlib import sha256

from mesh.core.types import Model, ModelIdentity
from node_agent.adopted.described import Described
from node_agent.adopted.kinds import Kind


def identity_of(kind: Kind, told: Described, nth: int = 0) -> ModelIdentity:
    """Return the identity of the ``nth`` engine of a machine that says this."""
    said = (
        kind,
        told.name if not told.path else told.names[0],  # a path is this machine's own
        told.digest,
        str(told.parameters),
        str(told.size_bytes),
        told.quantisation,
    )
    digest = sha256("\n".join(("an adopted engine's model", *said)).encode()).hexdigest()
    another = sha256(f"engine {nth + 1} of one machine".encode()).hexdigest() if nth else ""
    return ModelIdentity(digest, another, told.quantisation)


def model_of(kind: Kind, told: Described, *, nth: int = 0, weights: Model | None = None) -> Model:
    """Return it as the mesh lists it.

    Args:
        weights: the same weights in this machine's library, where the engine names their file or
            their sha256: then they are called so as well, and known to be a test bench or a
            specialist.
    """
    names = told.names
    if weights is not None:
        names = tuple(dict.fromkeys((*names, *weights.names)))
    return Model(
        identity_of(kind, told, nth),
        names[:16],
        told.architecture or (weights.architecture if weights else ""),
        told.parameters or (weights.parameters if weights else 0),
        told.size_bytes or (weights.size_bytes if weights else 0),
        told.context_tokens,
        test=weights.test if weights else False,
        tasks=weights.tasks if weights else (),
        examples=weights.examples if weights else (),
        domains=weights.domains if weights else (),
    )
