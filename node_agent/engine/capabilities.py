"""What the engine can do with a model: true before a load as after it.

A model either writes text or turns it into vectors, as its file says.
"""

from mesh.core.types import Capability

CAPABILITIES = frozenset(
    {
        Capability.LOGPROBS,
        Capability.GRAMMAR,
        Capability.GBNF,
        Capability.RESUME,
        Capability.TOOLS,
    }
)
EMBEDDER_CAPABILITIES = frozenset({Capability.EMBED})
