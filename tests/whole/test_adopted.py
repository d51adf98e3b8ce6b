"""Real engines of others, adopted into a real mesh: they serve beside ours, come, go, and are
never asked for anything that would load a model.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

from bench.engine_rivals import LlamaCppPython, LlamaServer
from mesh.client import MeshClient, connect
from mesh.errors import AnswerLost, MeshError
from mesh.v1 import inference_pb2 as inference
from mesh.v1 import inference_pb2_grpc as inference_grpc
from node_agent.adopted.kinds import LOOKS, RECOGNISING, Kind
from tests.coordinator.cloud.played_upstream import Asked
from tests.node_agent.adopted.played_engines import OLLAMA as OLLAMA_SAYS
from tests.node_agent.adopted.played_engines import played
from tests.node_agent.engine.gguf_files import ParrotModel
from tests.whole.conftest import NewMachine, attached, joined
from tests.whole.machine import ROOT, WITHIN_S, Machine, Running
from tests.whole.recording_proxy import RecordingProxy
from tests.whole.test_own_programs import PORT

NEEDED = ("xllamacpp", "llama_cpp", "fastapi", "sse_starlette", "starlette_context")
pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in NEEDED), reason="needs the extras node and dev"
)

MODEL = ROOT / "models" / "test-tiny.gguf"
PROMPT, ANSWER = "Reverse the word: mesh", "hsem"
CHAT = "POST /v1/chat/completions"
LLAMA_CPP, OTHER, OLLAMA = "llama.cpp", str(Kind.OTHER), "Ollama 0.9.6"
CITY: Any = {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
SAID: Any = [{"role": "user", "content": PROMPT}]
PICTURE: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,eA=="}}
SHOWN: Any = [{"role": "user", "content": [{"type": "text", "text": PROMPT}, PICTURE]}]
# What an engine says of a model that a machine has itself; it has loaded it.
HAS_OURS = {
    **OLLAMA_SAYS,
    "GET /api/tags": {"models": [{"name": "test-tiny", "digest": "d1"}]},
    "GET /api/ps": {"models": [{"name": "test-tiny", "context_length": 4096}]},
    "POST /api/show": {"capabilities": ["completion", "vision"], "model_info": {}},
}
REFUSALS = ((404, 502, "node_lost"), (429, 429, "overloaded"), (503, 429, "overloaded"))


@pytest.fixture
async def llama() -> AsyncIterator[RecordingProxy]:
    proxy = RecordingProxy()
    yield proxy
    await proxy.close()


@pytest.fixture
async def python() -> AsyncIterator[RecordingProxy]:
    proxy = RecordingProxy()
    yield proxy
    await proxy.close()


@pytest.fixture
async def ollama() -> AsyncIterator[RecordingProxy]:
    proxy = RecordingProxy()
    yield proxy
    await proxy.close()


@asynccontextmanager
async def played_ollama(proxy: RecordingProxy, refusals: list[int]) -> AsyncIterator[None]:
    """One that has our model, while the context is open. It refuses with ``refusals``, if any."""
    async with played(HAS_OURS) as engine:

        async def behave(asked: Asked) -> None:
            if asked.line.startswith(CHAT) and refusals:
                await asked.refuse(refusals[-1], {"message": "no"}, "retry-after: 0.1\r\n")
            else:
                await engine.behave(asked)

        engine.server.behave = behave
        await proxy.open(engine.address)
        yield
        await proxy.close()


@asynccontextmanager
async def llama_server(proxy: RecordingProxy, model: Path = MODEL) -> AsyncIterator[None]:
    """llama.cpp's own server, while the context is open."""
    server = LlamaServer(threads=1)
    async with server.listening(model, slots=2, context_tokens=1024) as (address, _):
        await proxy.open(address)
        try:
            yield
        finally:
            await proxy.close()


@asynccontextmanager
async def python_server(proxy: RecordingProxy) -> AsyncIterator[None]:
    """llama-cpp-python's, likewise."""
    async with LlamaCppPython().listening(MODEL, context_tokens=1024) as (address, _):
        await proxy.open(address)
        try:
            yield
        finally:
            await proxy.close()


@asynccontextmanager
async def lending(
    machine: Machine, office: Machine, *engines: RecordingProxy
) -> AsyncIterator[tuple[Running, MeshClient]]:
    """A node of the mesh with these engines, and what asks at its door."""
    machine.settings |= {
        "DESKMESH_NODE__ENGINES": json.dumps([each.address for each in engines]),
    }
    await joined(machine, office)
    async with machine.running("node") as agent:
        await attached(agent)
        await agent.says("gRPC: port")
        port = PORT.search(agent.text)
        assert port, agent.text
        async with connect(f"127.0.0.1:{port[1]}") as mesh:
            yield agent, mesh


@asynccontextmanager
async def tool_at(agent: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    """OpenAI's own client at a machine's own door. It asks once: what it hears is what was said."""
    said = re.search(r"http://localhost:\d+", agent.text)
    assert said, agent.text
    async with openai.AsyncOpenAI(base_url=f"{said[0]}/v1", api_key="none", max_retries=0) as tool:
        yield tool


async def by_grammar(agent: Running) -> str:
    """Ask for a name with a grammar; return what is answered."""
    port = PORT.search(agent.text)
    assert port
    asked = inference.GenerateRequest(
        request_id="by-grammar",
        model="test-tiny",
        messages=[inference.Message(role=inference.ROLE_USER, parts=[inference.Part(text=PROMPT)])],
        response_format=inference.ResponseFormat(grammar='root ::= "hs"'),
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port[1]}") as channel:
        call = inference_grpc.InferenceStub(channel).Generate(asked)
        return "".join([event.delta.text async for event in call])


async def engines_of(mesh: MeshClient) -> dict[str, str]:
    """Return the engines that the mesh shows, each with its model's identity; ours is ""."""
    return {
        replica.engine.partition(" b")[0]: model.model_id
        for model in await mesh.models()
        for replica in model.replicas
    }


async def until(mesh: MeshClient, *engines: str) -> dict[str, str]:
    async with asyncio.timeout(WITHIN_S):
        while (found := await engines_of(mesh)).keys() != {"", *engines}:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


def only_looked_at(proxy: RecordingProxy, kind: Kind) -> None:
    assert set(proxy.asked) <= LOOKS[kind] | RECOGNISING | {CHAT}


async def hear_by_openais_client(tool: openai.AsyncOpenAI, model_id: str) -> int:
    """An adopted engine's answers come through our door as its own would.

    Return how many tokens it counted of the prompt.
    """
    stream = await tool.chat.completions.create(
        model=model_id,
        messages=SAID,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(each.delta.content or "" for each in choices) == ANSWER
    assert choices[-1].finish_reason == "stop"
    whole = await tool.chat.completions.create(model=model_id, messages=SAID, temperature=0)
    assert whole.choices[0].message.content == ANSWER
    used, streamed = whole.usage, chunks[-1].usage
    assert used
    assert streamed
    assert streamed.prompt_tokens == used.prompt_tokens > 0
    assert streamed.completion_tokens == used.completion_tokens > 0
    return used.prompt_tokens


async def hear_a_call(tool: openai.AsyncOpenAI, name: str) -> None:
    """Of one name, whoever can call tools is asked."""
    called = await tool.chat.completions.create(
        model=name, messages=SAID, tools=[WEATHER], tool_choice="required", temperature=0
    )
    [call] = called.choices[0].message.tool_calls or []
    assert called.choices[0].finish_reason == "tool_calls"
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == (
        "weather",
        {"city": "Oslo"},
    )


async def hear_refusals(tool: openai.AsyncOpenAI, model_id: str, refusals: list[int]) -> None:
    """A refusal comes through our door as a client can act on it: it may ask again."""
    for status, shown, code in REFUSALS:
        refusals.append(status)
        with pytest.raises(openai.APIStatusError) as refused:
            await tool.chat.completions.create(model=model_id, messages=SAID)
        assert (refused.value.status_code, refused.value.code) == (shown, code), status
        assert refused.value.response.headers["x-should-retry"] == "true"
    refusals.clear()


async def test_two_engines_of_others_serve_beside_ours(
    office: Machine,
    new_machine: NewMachine,
    llama: RecordingProxy,
    python: RecordingProxy,
    ollama: RecordingProxy,
) -> None:
    desk, refusals = new_machine("desk"), list[int]()
    async with (
        llama_server(llama),
        python_server(python),
        lending(desk, office, llama, python, ollama) as (agent, mesh),
        tool_at(agent) as tool,
        played_ollama(ollama, refusals),
    ):
        by_engine = await until(mesh, LLAMA_CPP, OTHER, OLLAMA)
        played_id = by_engine.pop(OLLAMA)
        assert CHAT not in {*llama.asked, *python.asked}, "nobody asked for anything yet"
        for engine, model_id in by_engine.items():
            answer = await mesh.ask(PROMPT, model=model_id)
            assert answer.text == ANSWER, engine
            [attempt] = answer.receipt.attempts
            assert attempt.engine.startswith(engine)
            notes = " ".join(answer.receipt.notes)
            assert ("cannot be continued elsewhere" in notes) is bool(engine)
            assert answer.usage.completion_tokens > 0
        shown = await desk.run("models", "list")
        assert "by llama.cpp" in " ".join(shown.out.split()), shown.out
        asked = await desk.run("ask", "--model", by_engine[OTHER], "--explain", PROMPT)
        assert ANSWER in asked.out
        told = " ".join((asked.out + asked.err).split())
        assert f"cannot be continued elsewhere: served by {OTHER}" in told
        assert llama.asked.count(CHAT) == 1
        assert python.asked.count(CHAT) == 2
        used = await hear_by_openais_client(tool, by_engine[LLAMA_CPP])
        only_looked_at(llama, Kind.LLAMA_CPP)
        assert await mesh.count_tokens(PROMPT, model=by_engine[LLAMA_CPP]) == used
        only_looked_at(python, Kind.OTHER)
        await hear_refusals(tool, played_id, refusals)
        seen = await tool.chat.completions.create(model="test-tiny", messages=SHOWN)
        assert seen.choices[0].message.content == "hello", "by the one of that name that sees"
        with pytest.raises(openai.APIStatusError, match="cannot do vision"):
            await tool.chat.completions.create(model=by_engine[LLAMA_CPP], messages=SHOWN)
        await python.close()  # which says nothing of what it can
        await until(mesh, LLAMA_CPP, OLLAMA)
        before = llama.asked.count(CHAT), ollama.asked.count(CHAT)
        await hear_a_call(tool, "test-tiny")
        await llama.close()
        await until(mesh, OLLAMA)
        assert await by_grammar(agent) == "hs"
        assert (llama.asked.count(CHAT), ollama.asked.count(CHAT)) == before, "neither one can"
        only_looked_at(ollama, Kind.OLLAMA)


async def test_an_engine_that_stops_and_starts_under_load_gives_no_wrong_answer(
    office: Machine, new_machine: NewMachine, llama: RecordingProxy, python: RecordingProxy
) -> None:
    right, failed, stopping = 0, 0, asyncio.Event()
    there = "test-tiny"  # or the very model of the engine that is there

    async def ask_on(mesh: MeshClient) -> None:
        nonlocal right, failed
        for turn in count():
            if stopping.is_set():
                return
            try:
                answer = await mesh.ask(PROMPT, model=there if turn % 2 else "test-tiny")
            except MeshError:
                failed += 1
                await asyncio.sleep(0.02)
            else:
                assert answer.text == ANSWER
                right += 1

    desk = new_machine("desk")
    engines = ((LLAMA_CPP, llama, llama_server), (OTHER, python, python_server))
    async with lending(desk, office, llama, python) as (agent, mesh):
        await until(mesh)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(ask_on(mesh))
            for name, proxy, serving in (*engines, *engines):
                async with serving(proxy):
                    there = (await until(mesh, name))[name]
                    await asyncio.sleep(1.0)
                there = "test-tiny"
                await until(mesh)
            stopping.set()
        assert agent.text.count("is gone") >= 4
    assert right > 20
    assert failed <= right / 5, "a few were cut, or asked for what had just gone"
    assert CHAT in llama.asked, "it was under load"
    assert CHAT in python.asked
    only_looked_at(llama, Kind.LLAMA_CPP)
    only_looked_at(python, Kind.OTHER)


async def test_an_answer_that_is_cut_with_its_engine_is_lost_and_never_taken_for_whole(
    office: Machine, new_machine: NewMachine, llama: RecordingProxy, tmp_path: Path
) -> None:
    endless = tmp_path / "endless.gguf"
    speech = ParrotModel(says="round&", endless=True, layers=8, feed_forward=1024)
    speech.write(endless)
    desk = new_machine("desk")
    async with llama_server(llama, endless), lending(desk, office, llama) as (_, mesh):
        model_id = (await until(mesh, LLAMA_CPP))[LLAMA_CPP]
        answer = mesh.generate("go", model=model_id, max_tokens=900)
        said = ""

        async def hear() -> None:
            nonlocal said
            async with answer:
                async for text in answer:
                    said += text
                    if len(said) > 20:
                        await llama.close()

        with pytest.raises(AnswerLost):
            await hear()
        assert said
        assert said == ("round&" * len(said))[: len(said)], "what came is what it said"
        assert not answer.finish_reason
        await until(mesh)
    only_looked_at(llama, Kind.LLAMA_CPP)
