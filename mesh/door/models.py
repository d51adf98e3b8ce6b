"""``GET /v1/models``: what may be given as ``model``, and which machines would answer."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mesh.asking import Asking
from mesh.core.types import AUTO, CLOUD
from mesh.door.fields import to_json
from mesh.errors import ModelNotFound
from mesh.v1 import inference_pb2 as inference
from mesh.wire.plain import to_plain

OWNER = "deskmesh"  # of all that is not an upstream's


class Models:
    """The two calls that tell models."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def all(self, _: Request) -> Response:
        """``auto`` first, then each model once, by the name that is shown."""
        shown: dict[str, dict[str, Any]] = {AUTO: _automatic()}
        for view in await self._asking.models():
            name = _name(view)
            if name in shown and "places" in shown[name]["deskmesh"]:
                # Another build of the same name, on other machines: either may answer.
                shown[name]["deskmesh"]["places"] += _places(view)
            else:
                shown.setdefault(name, _model(name, view))
        body = to_json({"object": "list", "data": list(shown.values())})
        return Response(body, media_type="application/json")

    async def one(self, request: Request) -> Response:
        """By any name or identity that a request may give.

        Raises:
            ModelNotFound: nobody has a model of that name.
        """
        asked: str = request.path_params["name"]
        if asked == AUTO:
            return JSONResponse(_automatic())
        views = await self._asking.models()
        for view in views:
            names_it = asked in (*view.names, view.model_id)
            if names_it or (asked == CLOUD and view.upstream):
                body = to_json(_model(asked, view))
                return Response(body, media_type="application/json")
        raise ModelNotFound(
            f"the model {asked[:100]!r} does not exist here", hint="GET /v1/models lists them"
        )


def _automatic() -> dict[str, Any]:
    return _entry(AUTO, OWNER, {"automatic": True})


def _model(name: str, view: inference.ModelView) -> dict[str, Any]:
    about = to_plain(view)
    about["aliases"] = about.pop("names")
    del about["replicas"], about["upstream"]
    about["places"] = _places(view)
    return _entry(name, view.upstream or OWNER, about)


def _entry(name: str, owner: str, about: dict[str, Any]) -> dict[str, Any]:
    # Nobody knows when weights were made; tools that sort by it get no wrong order.
    return {"id": name, "object": "model", "created": 0, "owned_by": owner, "deskmesh": about}


def _places(view: inference.ModelView) -> list[dict[str, Any]]:
    return [to_plain(replica) for replica in view.replicas]


def _name(view: inference.ModelView) -> str:
    return view.names[0] if view.names else view.model_id
