"""Which engines we know, and the only paths that we look at there.

Some engines load a model when somebody merely looks: llama.cpp's server, as a router of several
models, does so for ``GET /metrics`` and ``GET /slots``, and they keep a sleeping one awake (its
issues 19346, 20227 and 23096). So what may be looked at is listed, each with its reason, and
``Looking`` asks for nothing else.

- ``/v1/models``: every one of them lists what it has, and loads nothing. Of llama.cpp's server, its
  README says of ``/models``, ``/props`` and ``/health`` that they neither reload a model nor count
  as use.
- Ollama: ``/api/version``, ``/api/tags`` (what is on its disk), ``/api/ps`` (what is loaded) and
  ``POST /api/show``, which reads a model's description (docs.ollama.com/api).
- LM Studio: ``/api/v0/models``, which tells the loaded ones from the others
  (lmstudio.ai/docs/developer/rest/endpoints); models are loaded by requests for them alone.
- llama.cpp: ``/props``, only where ``/v1/models`` shows no router: a router would pass it on.
- vLLM: ``/version``.
- Ray Serve: ``/-/routes``, by its own proxy.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What an engine is, as people call it."""

    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    LLAMA_CPP = "llama.cpp"
    VLLM = "vLLM"
    RAY_SERVE = "Ray Serve"
    OTHER = "OpenAI-compatible engine"

    @property
    def spreads(self) -> bool:
        """May what it runs be on other machines than its port?"""
        return self is Kind.RAY_SERVE

    @property
    def bears_looks(self) -> bool:
        """May it be looked at while it answers others?

        llama-cpp-python's own server breaks the answer off that it is writing when anything else is
        asked, ``/v1/models`` included (llama_cpp/server/app.py: ``interrupt_requests``). Who is not
        known may be that one: it is looked at once, and then again when an answer raises doubts.
        """
        return self is not Kind.OTHER

    @property
    def slots(self) -> int:
        """Answers that it works on at a time for certain; 0: to be learned.

        One that is not known gets no second request beside the first, which could break that off.
        """
        return 1 if self is Kind.OTHER else 0


MODELS = "GET /v1/models"
OLLAMA_VERSION, OLLAMA_TAGS, OLLAMA_LOADED = "GET /api/version", "GET /api/tags", "GET /api/ps"
OLLAMA_SHOW = "POST /api/show"
LM_STUDIO_MODELS = "GET /api/v0/models"
LLAMA_CPP_PROPERTIES = "GET /props"
VLLM_VERSION = "GET /version"
RAY_ROUTES = "GET /-/routes"

# To tell what an engine is. Where an engine does not know one, it says so, and loads nothing.
RECOGNISING = frozenset({MODELS, OLLAMA_VERSION, RAY_ROUTES})

LOOKS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.OLLAMA: frozenset({MODELS, OLLAMA_VERSION, OLLAMA_TAGS, OLLAMA_LOADED, OLLAMA_SHOW}),
        Kind.LM_STUDIO: frozenset({MODELS, LM_STUDIO_MODELS}),
        Kind.LLAMA_CPP: frozenset({MODELS, LLAMA_CPP_PROPERTIES}),
        Kind.VLLM: frozenset({MODELS, VLLM_VERSION}),
        Kind.RAY_SERVE: frozenset({MODELS}),
        Kind.OTHER: frozenset({MODELS}),
    }
)

# What an answer is asked for by. Only a request that somebody made goes there.
CHAT_PATH, EMBEDDINGS_PATH = "/v1/chat/completions", "/v1/embeddings"
# What a prompt is counted by, likewise.
APPLY_TEMPLATE_PATH, TOKENIZE_PATH = "/apply-template", "/tokenize"
