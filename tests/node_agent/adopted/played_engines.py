"""Engines of every kind, played as their documents describe them; each keeps what it was asked."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from node_agent.adopted.kinds import Kind
from tests.coordinator.cloud.played_upstream import Asked, PlayedUpstream

OLLAMA: Mapping[str, object] = {
    "GET /v1/models": {"object": "list", "data": [{"id": "qwen3:8b", "owned_by": "library"}]},
    "GET /api/version": {"version": "0.9.6"},
    "GET /api/tags": {
        "models": [
            {"name": "qwen3:8b", "digest": "d1", "size": 5_000_000_000},
            {"name": "embed:latest", "digest": "d2", "size": 5_000_000},
            {"name": "gpt-oss:120b-cloud", "digest": "d3", "remote_host": "https://ollama.com"},
        ]
    },
    "GET /api/ps": {"models": [{"name": "qwen3:8b", "context_length": 8192}]},
    "POST /api/show": {"capabilities": ["completion", "tools"], "model_info": {}},
}
LM_STUDIO: Mapping[str, object] = {
    "GET /v1/models": {"data": [{"id": "qwen3-8b", "owned_by": "organization_owner"}]},
    "GET /api/v0/models": {"data": [{"id": "qwen3-8b", "type": "llm", "state": "not-loaded"}]},
}
LLAMA_CPP: Mapping[str, object] = {
    "GET /v1/models": {
        "data": [{"id": "m/qwen3-8b.gguf", "owned_by": "llamacpp", "meta": {"n_params": 8}}]
    },
    "GET /props": {"total_slots": 4, "default_generation_settings": {"n_ctx": 2048}},
}
ROUTER: Mapping[str, object] = {
    "GET /v1/models": {
        "data": [
            {"id": "one", "owned_by": "llamacpp", "status": {"value": "unloaded"}},
            {"id": "two", "owned_by": "llamacpp", "status": {"value": "loaded"}},
        ]
    },
}
VLLM: Mapping[str, object] = {
    "GET /v1/models": {"data": [{"id": "qwen3-8b", "owned_by": "vllm", "max_model_len": 4096}]},
    "GET /version": {"version": "0.11.0"},
}
RAY: Mapping[str, object] = {
    "GET /v1/models": {"data": [{"id": "qwen3-8b", "owned_by": "organization-owner"}]},
    "GET /-/routes": {"/": "llm"},
}
OTHER: Mapping[str, object] = {"GET /v1/models": {"data": [{"id": "qwen3-8b", "owned_by": "me"}]}}

PLAYED: Mapping[Kind, Mapping[str, object]] = {
    Kind.OLLAMA: OLLAMA,
    Kind.LM_STUDIO: LM_STUDIO,
    Kind.LLAMA_CPP: LLAMA_CPP,
    Kind.VLLM: VLLM,
    Kind.RAY_SERVE: RAY,
    Kind.OTHER: OTHER,
}


@dataclass(slots=True)
class PlayedEngine:
    """Says at each path what it is told to say; 404 elsewhere."""

    server: PlayedUpstream
    says: dict[str, object] = field(default_factory=dict)
    status: int = 200  # of whatever it says

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def looks(self) -> list[str]:
        return [each.line.rpartition(" ")[0] for each in self.server.asked]

    async def behave(self, asked: Asked) -> None:
        look = asked.line.rpartition(" ")[0]
        if look == "POST /v1/chat/completions":
            await asked.answer("hel", "lo")
        elif self.status != 200 or look not in self.says:
            await asked.refuse(self.status if self.status != 200 else 404)
        else:
            body = json.dumps(self.says[look]).encode()
            head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
            await asked.raw(f"{head}{len(body)}\r\n\r\n".encode() + body)


@asynccontextmanager
async def played(says: Mapping[str, object]) -> AsyncIterator[PlayedEngine]:
    """Run one while the context is open."""
    engine = PlayedEngine(PlayedUpstream(), dict(says))
    engine.server.behave = engine.behave
    await engine.server.start()
    try:
        yield engine
    finally:
        await engine.server.stop()
