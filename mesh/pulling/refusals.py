"""What is said where a server will not give a file, now or later. Pure."""

from mesh.errors import Forbidden, MeshError, ModelNotFound, ServiceError
from mesh.pulling.source import Source


def refuse(source: Source, status: int) -> MeshError:
    """Return the error of an answer that no second try makes better."""
    if status in (401, 403):
        hint = (
            "ask for access on its page and set HF_TOKEN to your token"
            if source.origin.startswith("hf:")
            else "it is not for everybody, or the address has expired: get a fresh one"
        )
        return Forbidden(f"{source.host} refuses {source.origin} ({status})", hint=hint)
    if status in (404, 410):
        return ModelNotFound(f"{source.host} has no {source.origin}", hint="check the name")
    if status in (200, 206):
        return ServiceError(
            f"{source.host} sends {source.origin} compressed, so that it cannot be resumed",
            hint="try another server",
        )
    return ServiceError(
        f"{source.host} answered {status} for {source.origin}", hint="check the address"
    )
