"""``Inference``: what clients ask over gRPC. The desk answers."""

from coordinator.access import Access
from coordinator.desk import Desk, DeskAsking
from mesh import inference_service


class InferenceService(inference_service.InferenceService):
    """Serves clients on one port; ``access`` says who they are."""

    def __init__(self, desk: Desk, access: Access) -> None:
        super().__init__(lambda method, context: DeskAsking(desk, access.admit(method, context)))
