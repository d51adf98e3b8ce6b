"""``/v1/models`` tells what ``model`` may be, once each."""

from typing import Any

from mesh.core.types import CLOUD
from mesh.v1 import inference_pb2 as inference
from tests.mesh.door.conftest import Served


def _view(name: str, digest: str, node: str, **more: Any) -> inference.ModelView:
    replica = inference.ReplicaView(
        node_name=node, state=inference.REPLICA_STATE_WARM, slots=4, slots_taken=1
    )
    return inference.ModelView(
        model_id=f"{digest * 12}:q8_0", names=[name, f"{name}-alias"], replicas=[replica], **more
    )


QWEN = _view("qwen", "a", "desk", context_tokens=4096)
OTHER_QWEN = _view("qwen", "b", "laptop")
UPSTREAM = inference.ModelView(model_id="cloud/big", names=["big"], upstream="somewhere")


async def test_auto_comes_first_and_each_name_once(served: Served) -> None:
    served.asking.views = [QWEN, OTHER_QWEN, UPSTREAM]
    listed = (await served.http.get("/v1/models")).json()
    assert listed["object"] == "list"
    assert [each["id"] for each in listed["data"]] == ["auto", "qwen", "big"]
    assert all(each["object"] == "model" and each["created"] == 0 for each in listed["data"])
    assert [each["owned_by"] for each in listed["data"]] == ["deskmesh", "deskmesh", "somewhere"]
    places = listed["data"][1]["deskmesh"]["places"]
    assert [(each["node_name"], each["state"]) for each in places] == [
        ("desk", "warm"),
        ("laptop", "warm"),
    ]


async def test_a_model_is_found_by_any_name_that_a_request_may_give(served: Served) -> None:
    served.asking.views = [QWEN, UPSTREAM]
    for name in ("auto", "qwen", "qwen-alias", QWEN.model_id, UPSTREAM.model_id, CLOUD):
        found = await served.http.get(f"/v1/models/{name}")
        assert found.status_code == 200
        assert found.json()["id"] == name


async def test_a_model_that_nobody_has_is_told_so(served: Served) -> None:
    served.asking.views = [QWEN]
    for name in ("qwem", CLOUD, "a/b/c", "x" * 5000, "%ff"):
        missing = await served.http.get(f"/v1/models/{name}")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "model_not_found"
        assert len(missing.text) < 1000


async def test_a_model_of_the_name_auto_does_not_hide_the_mesh_own(served: Served) -> None:
    served.asking.views = [_view("auto", "c", "desk")]
    [listed] = (await served.http.get("/v1/models")).json()["data"]
    assert listed["deskmesh"] == {"automatic": True}


async def test_other_paths_and_methods_are_told_in_the_same_shape(served: Served) -> None:
    for method, path, status, code in (
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("OPTIONS", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models/qwen", 405, "method_not_allowed"),
        ("GET", "/v1/embeddings", 405, "method_not_allowed"),
        ("POST", "/v1/rerank", 404, "unknown_url"),
        ("POST", "/v1/chat/completions/", 404, "unknown_url"),
        ("GET", "/v1/models/%0d%0ax", 404, "unknown_url"),
        ("GET", "/v1/../../etc/passwd", 404, "unknown_url"),
        ("POST", "/chat/completions", 404, "unknown_url"),
    ):
        told = await served.http.request(method, path)
        assert (told.status_code, told.json()["error"]["code"]) == (status, code)
        assert told.json()["error"]["message"].isprintable()
    assert "base URL ends in /v1" in told.json()["error"]["message"]
