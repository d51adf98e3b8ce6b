"""``Inference``: what clients ask over gRPC. The desk answers."""

from coordinator.access import Access, Context
from coordinator.desk import Desk, DeskAsking
from mesh import inference_service
from mesh.inference_service import Admitted


class InferenceService(inference_service.InferenceService):
    """Serves clients on one port; ``access`` says who they are."""

    def __init__(self, desk: Desk, access: Access) -> None:
        def admit(method: str, context: Context) -> Admitted:
            caller = access.admit(method, context)
            return Admitted(caller.principal, DeskAsking(desk, caller))

        super().__init__(admit)
