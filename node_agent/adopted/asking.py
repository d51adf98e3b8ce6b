"""What an adopted engine is asked, written from the work that any engine of ours would get.

Beside what OpenAI's API has, each engine gets the settings of sampling that it is known to take:
one that knows a field no other way refuses the request, or worse, takes it for nothing. Sources:
llama.cpp, tools/server/README.md; docs.vllm.ai, "extra parameters"; lmstudio.ai/docs, "chat
completions"; docs.ollama.com/api/openai-compatibility.
"""

import json
from dataclasses import replace
from typing import Any

from mesh.chat_api.content import to_json
from mesh.chat_api.openai_body import written
from mesh.core.chat import Form, FormKind
from mesh.core.generation import Generation
from mesh.errors import Unsupported
from mesh.wire.generations import write_generation
from node_agent.adopted.kinds import Kind

_ANY_OBJECT = Form(FormKind.JSON_SCHEMA, json.dumps({"type": "object"}))
UNBOUNDED_TOKENS = 1_000_000  # whoever asks for more asks for all there is


def chat_body(work: Generation, *, kind: Kind, model: str) -> bytes:
    """Return the body of a call for ``work``.

    Raises:
        InvalidRequest: a schema is none.
        Unsupported: the engine knows no grammars.
    """
    form, grammar = work.form, ""
    match form:
        case Form(FormKind.GRAMMAR, source) if kind is Kind.LLAMA_CPP:
            form, grammar = None, source
        case Form(FormKind.GRAMMAR):
            raise Unsupported(
                f"{kind} takes no GBNF grammar",
                hint="give a JSON schema, or ask for a model that deskmesh runs itself",
            )
        case Form(FormKind.JSON) if kind is Kind.LM_STUDIO:
            form = _ANY_OBJECT  # it knows schemas only
    body: dict[str, Any] = written(write_generation(replace(work, form=form)), sampling=True)
    body["model"] = model
    if work.max_tokens < UNBOUNDED_TOKENS:
        body["max_tokens"] = work.max_tokens
    if grammar:
        body["grammar"] = grammar
    return to_json(body | _own_sampling(work, kind))


def _own_sampling(work: Generation, kind: Kind) -> dict[str, Any]:
    sampling = work.sampling
    match kind:
        case Kind.LLAMA_CPP | Kind.LM_STUDIO:
            return {
                "top_k": sampling.top_k,
                "min_p": sampling.min_p,
                "repeat_penalty": sampling.repeat_penalty,
            }
        case Kind.VLLM:
            return {
                "top_k": sampling.top_k or -1,
                "min_p": sampling.min_p,
                "repetition_penalty": sampling.repeat_penalty,
            }
        case _:
            return {}
