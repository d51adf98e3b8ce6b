"""What the other engines say of their models, each by one or two looks.

- LM Studio: lmstudio.ai/docs/developer/rest/endpoints, ``/api/v0/models``: type, architecture,
  quantisation, whether it is loaded and with which context. ``capabilities`` names tool use.
- llama.cpp's server: tools/server/README.md, ``/v1/models`` with ``meta``, ``/props`` with the
  context of a slot, the number of slots, the file and what its template can. As a router it
  lists each model with its ``status``, and is asked nothing more.
- vLLM: ``/v1/models`` with ``max_model_len`` (vllm/entrypoints/openai/protocol.py, ModelCard).
- Ray Serve LLM, and whoever else speaks as OpenAI does: names, and nothing else.
"""

from pathlib import PurePath

from mesh.core.types import Capability
from node_agent.adopted.described import (
    Described,
    EngineListing,
    Json,
    number_of,
    objects_of,
    part_of,
    text_of,
)
from node_agent.adopted.kinds import (
    LLAMA_CPP_PROPERTIES,
    LM_STUDIO_MODELS,
    VLLM_VERSION,
    Kind,
)
from node_agent.adopted.looking import Looking, NoSense

_EVERYTHING = frozenset({Capability.TOOLS, Capability.GRAMMAR, Capability.LOGPROBS})
_LLAMA_CPP = _EVERYTHING | {Capability.GBNF}
_SEES = frozenset({Capability.VISION})
_EMBEDS = frozenset({Capability.EMBED})


async def list_lm_studio(looking: Looking) -> EngineListing:
    """Raises NotThere, NoSense: it is older than 0.3.6, too."""
    told = objects_of(await looking.ask(LM_STUDIO_MODELS), "data")
    models = tuple(lm_studio_model(each) for each in told if text_of(each, "id"))
    return EngineListing(Kind.LM_STUDIO, "", models)


def lm_studio_model(told: Json) -> Described:
    """Return one model of ``/api/v0/models``. What is not loaded will have its default context."""
    name, loaded = text_of(told, "id"), told.get("state") == "loaded"
    said = told.get("capabilities")
    tools = isinstance(said, list) and "tool_use" in said
    writes = frozenset({Capability.GRAMMAR, *([Capability.TOOLS] if tools else [])})
    writes |= _SEES if told.get("type") == "vlm" else frozenset()
    return Described(
        name,
        (name,),
        loaded,
        _EMBEDS if told.get("type") == "embeddings" else writes,
        number_of(told, "loaded_context_length") if loaded else 0,
        architecture=text_of(told, "arch", 64),
        quantisation=text_of(told, "quantization", 32),
    )


async def list_llama_cpp(looking: Looking, models: Json) -> EngineListing:
    """Raises NotThere, NoSense."""
    told = objects_of(models, "data")
    if any("status" in each for each in told):  # a router: to ask it more might load one
        return EngineListing(Kind.LLAMA_CPP, "", tuple(map(routed_model, told)))
    try:
        properties = await looking.ask(LLAMA_CPP_PROPERTIES)
    except NoSense:
        properties = {}  # a build without it
    version = text_of(properties, "build_info", 32)
    return EngineListing(
        Kind.LLAMA_CPP, version, tuple(llama_cpp_model(each, properties) for each in told)
    )


def llama_cpp_model(told: Json, properties: Json) -> Described:
    """Return the one model of a server, of what ``/v1/models`` and ``/props`` say."""
    name, meta = text_of(told, "id", 1024), part_of(told, "meta")
    embeds = "embedding" in str(told.get("capabilities"))
    settings = part_of(properties, "default_generation_settings")
    awake = properties.get("is_sleeping") is not True  # it has let its memory go till it is asked
    slot_tokens = number_of(settings, "n_ctx") or number_of(meta, "n_ctx")
    return Described(
        name,
        (called(name),),
        awake,
        _EMBEDS if embeds else _llama_cpp_can(properties),
        slot_tokens or number_of(meta, "n_ctx_train"),
        parameters=number_of(meta, "n_params"),
        size_bytes=number_of(meta, "size"),
        quantisation=text_of(meta, "ftype", 32) or text_of(properties, "model_ftype", 32),
        slots=number_of(properties, "total_slots"),
        path=text_of(properties, "model_path", 4096),
        counts=awake,
    )


def _llama_cpp_can(properties: Json) -> frozenset[Capability]:
    """Tools are none where its template shows none to the model: it leaves them out, and answers as
    if nobody had given it any.
    """
    template = part_of(properties, "chat_template_caps")
    can = _LLAMA_CPP - ({Capability.TOOLS} if template.get("supports_tools") is False else set())
    return can | _SEES if part_of(properties, "modalities").get("vision") is True else can


def routed_model(told: Json) -> Described:
    """Return a model of a router; its server is another process, which is not asked."""
    name = text_of(told, "id", 1024)
    loaded = part_of(told, "status").get("value") == "loaded"
    taken = part_of(told, "architecture").get("input_modalities")
    sees = isinstance(taken, list) and "image" in taken
    return Described(name, (called(name),), loaded, _LLAMA_CPP | _SEES if sees else _LLAMA_CPP)


async def list_vllm(looking: Looking, models: Json) -> EngineListing:
    """Raises NotThere, NoSense."""
    version = text_of(await looking.ask(VLLM_VERSION), "version", 32)
    return EngineListing(
        Kind.VLLM,
        version,
        tuple(
            Described(
                name,
                (called(name),),
                True,
                _EVERYTHING,
                number_of(each, "max_model_len"),
                counts=True,
            )
            for each in objects_of(models, "data")
            if (name := text_of(each, "id"))
        ),
    )


def list_named(kind: Kind, models: Json) -> EngineListing:
    """Return what an engine has of which names are all that is known.

    Tools are taken for granted: where a model has none, it says so; leaving them out would keep
    every agent from it.
    """
    found = (text_of(each, "id", 1024) for each in objects_of(models, "data"))
    tools = frozenset({Capability.TOOLS})
    named = tuple(Described(name, (called(name),), True, tools) for name in found if name)
    return EngineListing(kind, "", named)


def called(name: str) -> str:
    """Return what people call a model whose engine names its file: the file, without its ending."""
    if not name.lower().endswith(".gguf"):
        return name[:256]
    return PurePath(name.replace("\\", "/")).stem[:256]
