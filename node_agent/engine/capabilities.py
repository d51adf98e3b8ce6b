"""What the engine can do with every model that it can load: true before a load as after it."""

from mesh.core.types import Capability

CAPABILITIES = frozenset(
    {Capability.LOGPROBS, Capability.GRAMMAR, Capability.RESUME, Capability.TOOLS}
)
