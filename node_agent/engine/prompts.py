"""Makes prompts: on the main thread, where a template's time can be limited by a signal."""

import traceback
from pathlib import Path
from typing import NoReturn

from mesh.core.generation import Generation
from mesh.errors import ContextOverflow, InternalError, InvalidRequest, MeshError
from node_agent.engine.inbox import Inbox, Prepared
from node_agent.engine.llama import Llama
from node_agent.engine.template import ChatTemplate


def prepare_all(llama: Llama, template: ChatTemplate, inbox: Inbox) -> NoReturn:
    """Make a prompt of each request, for as long as the process lives."""
    while True:
        asked = inbox.asked()
        prompt: tuple[int, ...] | MeshError
        try:
            prompt = _prompt_ids(llama, template, asked.work)
        except MeshError as failure:
            prompt = failure
        except Exception as failure:  # a bug of ours ends the request, not the process
            prompt = InternalError(whereabouts(failure))
        inbox.prepared(Prepared(asked.request, asked.work, prompt))


def whereabouts(failure: Exception) -> str:
    """Return a failure's kind and place, not its words: they may quote a prompt."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    place = f"{Path(frame.filename).name}:{frame.lineno}"
    return f"the engine failed with {type(failure).__name__} at {place}"


def _prompt_ids(llama: Llama, template: ChatTemplate, work: Generation) -> tuple[int, ...]:
    prompt = llama.tokenise(template.render(work.messages))
    if not prompt:
        raise InvalidRequest("the prompt is empty", hint="send at least one message with text")
    if len(prompt) + 1 > llama.context_tokens:
        raise ContextOverflow(
            f"the prompt has {len(prompt)} tokens, and the model's context has room for"
            f" {llama.context_tokens - 1} and an answer",
            hint="shorten the prompt, or use a model with a longer context",
        )
    return tuple(prompt)
