"""``/v1/embeddings`` as OpenAI's clients know it."""

import base64
import struct
from typing import Any

import httpx2
import pytest

from mesh.errors import ContextOverflow
from tests.mesh.door.conftest import Served, open_door


async def embed(served: Served, **body: Any) -> httpx2.Response:
    return await served.http.post("/v1/embeddings", json={"model": "auto", "input": "hi"} | body)


@pytest.mark.parametrize(("given", "texts"), [("abc", ["abc"]), (["abc", "d"], ["abc", "d"])])
async def test_each_text_gets_its_vector(served: Served, given: object, texts: list[str]) -> None:
    told = await embed(served, model="embedder", input=given, user="ann")
    assert told.status_code == 200
    body = told.json()
    assert [each["embedding"] for each in body["data"]] == [[len(text), 1] for text in texts]
    assert [each["index"] for each in body["data"]] == list(range(len(texts)))
    assert {each["object"] for each in body["data"]} == {"embedding"}
    assert (body["object"], body["model"]) == ("list", "embedder")
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    assert body["deskmesh"]["attempts"][0]["node_name"] == "desk"
    assert told.headers["x-deskmesh-node"] == "desk"
    [asked] = served.asking.embedded
    assert (asked.model, list(asked.inputs)) == ("embedder", texts)
    assert told.headers["x-request-id"] == asked.request_id


async def test_vectors_come_in_base64_to_who_asks_for_it(served: Served) -> None:
    told = await embed(served, input="abc", encoding_format="base64")
    [each] = told.json()["data"]
    assert struct.unpack("<2f", base64.b64decode(each["embedding"])) == (3, 1)


async def test_the_meshs_own_headers_are_obeyed(served: Served) -> None:
    given = {"x-deskmesh-tier": "device", "x-deskmesh-timeout-s": "2", "x-request-id": "r7"}
    body = {"model": "auto", "input": "hi"}
    assert (await served.http.post("/v1/embeddings", json=body, headers=given)).status_code == 200
    [asked] = served.asking.embedded
    assert (asked.request_id, asked.tier, asked.deadline_ms) == ("r7", 1, 2000)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"model": None}, "model", "invalid_type"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": ["a"] * 2049}, "input", "array_above_max_length"),
        ({"input": [1, 2]}, "input[0]", "invalid_type"),
        ({"input": [[1, 2]]}, "input[0]", "invalid_type"),
        ({"dimensions": 256}, "dimensions", "unsupported_parameter"),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
        ({"inputs": "a"}, "inputs", "unknown_parameter"),
    ],
)
async def test_what_cannot_be_embedded_is_refused_by_its_name(
    served: Served, body: dict[str, Any], param: str, code: str
) -> None:
    told = await embed(served, **body)
    assert told.status_code == 400
    error = told.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert not served.asking.embedded


async def test_a_failure_has_openais_shape() -> None:
    async with open_door(ContextOverflow("inputs[0] has 9 tokens")) as served:
        told = await embed(served)
    assert told.status_code == 400
    assert told.json()["error"]["code"] == "context_length_exceeded"
