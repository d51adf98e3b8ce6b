"""Calls of the command line to the coordinator's ``Operations``, as this machine's own identity."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from mesh.home import Home
from mesh.member import reach_coordinator
from mesh.rpc import from_rpc
from mesh.v1 import operations_pb2 as operations
from mesh.v1 import operations_pb2_grpc as operations_grpc

CALL_WITHIN_S = 10.0


@asynccontextmanager
async def calling(home: Home | None = None) -> AsyncIterator[operations_grpc.OperationsStub]:
    """Give a stub on an mTLS channel; whatever fails in it is a ``MeshError``."""
    async with await reach_coordinator(home or Home.find()) as channel:
        try:
            yield operations_grpc.OperationsStub(channel)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc(failure) from None


async def mesh_view(home: Home | None = None) -> operations.MeshView:
    """Return the mesh at a glance."""
    async with calling(home) as stub:
        view: operations.MeshView = await stub.GetMesh(
            operations.GetMeshRequest(), timeout=CALL_WITHIN_S
        )
        return view


async def new_invitation(role: str, name: str, home: Home | None = None) -> tuple[str, int]:
    """Return a join code and the seconds it is good for."""
    async with calling(home) as stub:
        response = await stub.Invite(
            operations.InviteRequest(role=role, name=name), timeout=CALL_WITHIN_S
        )
        return response.code, response.expires_in_s
