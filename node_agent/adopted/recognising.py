"""Which engine is it, and what has it? One look for the list of models tells most of them apart.

Whatever was not named by the machine's owner is adopted only if it is recognised: something else on
a usual port may be a gateway that passes prompts on to a cloud. What forwards is left alone even
where it is named: our own door, which would ask us again.
"""

from dataclasses import dataclass, field

from node_agent.adopted.described import EngineListing, Json, objects_of, text_of
from node_agent.adopted.kinds import MODELS, OLLAMA_VERSION, RAY_ROUTES, Kind
from node_agent.adopted.looking import Looking, NoSense
from node_agent.adopted.ollama import Ollama
from node_agent.adopted.others import list_llama_cpp, list_lm_studio, list_named, list_vllm

# What each writes as the owner of its models. Ollama writes the model's namespace, so it is asked.
_OWNERS = {
    "llamacpp": Kind.LLAMA_CPP,
    "organization_owner": Kind.LM_STUDIO,
    "vllm": Kind.VLLM,
}
_OURS = "deskmesh"  # the field by which our own door says more of a model


@dataclass(slots=True)
class Recognised:
    """One engine, looked at again and again. What it is stands until nobody is there any more."""

    looking: Looking
    named: bool  # by the owner: adopted whatever it is
    _ollama: Ollama = field(default_factory=Ollama)

    async def list(self) -> EngineListing | None:
        """Return what it has; None: it is none that may be adopted.

        Raises:
            NotThere, NoSense: as ``Looking.ask``.
        """
        if self.looking.kind is Kind.OLLAMA:
            return await self._ollama.list(self.looking)
        models = await self.looking.ask(MODELS)
        if self.looking.kind is None:
            self.looking.kind = await self._recognise(models)
        match self.looking.kind:
            case Kind.OLLAMA:
                return await self._ollama.list(self.looking)
            case Kind.LM_STUDIO:
                return await list_lm_studio(self.looking)
            case Kind.LLAMA_CPP:
                return await list_llama_cpp(self.looking, models)
            case Kind.VLLM:
                return await list_vllm(self.looking, models)
            case None:
                return None
            case kind:
                return list_named(kind, models)

    def forget(self) -> None:
        """Nobody is there: whoever comes next may be another one."""
        self.looking.kind = None

    async def _recognise(self, models: Json) -> Kind | None:
        listed = objects_of(models, "data")
        owners = {text_of(each, "owned_by") for each in listed}
        if any(_OURS in each for each in listed):
            return None
        known = {_OWNERS[owner] for owner in owners if owner in _OWNERS}
        if len(known) == 1:
            return known.pop()
        if await self._answers(OLLAMA_VERSION, "version"):
            return Kind.OLLAMA
        if "organization-owner" in owners and await self._answers(RAY_ROUTES):
            return Kind.RAY_SERVE
        return Kind.OTHER if self.named else None

    async def _answers(self, look: str, with_text: str = "") -> bool:
        try:
            told = await self.looking.ask(look)
        except NoSense:
            return False
        return not with_text or bool(text_of(told, with_text))
