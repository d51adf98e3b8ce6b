"""``deskmesh models show`` and ``verify``: what is known of a model here, and whether it is so."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from mesh.cli.model_putting import write_note
from mesh.cli.model_reading import ReadModel, read_model
from mesh.cli.output import console, count, how_near, print_json, size
from mesh.cli.own_models import NAME, JsonOption, NameArgument, now, progress
from mesh.client import connect
from mesh.errors import InvalidRequest, MeshError, ModelNotFound
from mesh.home import Home
from mesh.model_note import BrokenNote, ModelNote, read_note
from mesh.own_folder import OwnModel, own_model, own_models
from mesh.process import FAILED
from mesh.pulling.partial import sha256_of
from mesh.v1 import inference_pb2 as inference
from mesh.wire import enums
from mesh.wire.plain import to_plain

MESH_WITHIN_S = 3.0  # it is on this very machine, or it does not run


def register(app: typer.Typer) -> None:
    """Add the commands to those of ``deskmesh models``."""
    app.command("show")(show_model)
    app.command("verify")(verify_models)


@dataclass(frozen=True, slots=True)
class Verified:
    """What hashing one model has told."""

    model: OwnModel
    sha256: str  # "": parts are missing
    known_sha256: str  # "": nobody has ever said
    problem: str = ""  # why it could not be verified

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def state(self) -> str:
        if self.problem:
            return "not verified"
        if not self.known_sha256:
            return "first seen"
        return "right" if self.sha256 == self.known_sha256 else "changed"


def show_model(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show all that is known of a model, here and in the mesh."""
    own = own_model(Home.find().models, name) if NAME.fullmatch(name) else None
    replicas_of = asyncio.run(_views())
    if own is None:
        view = next((each for each in replicas_of if name in (each.model_id, *each.names)), None)
        if view is None:
            raise ModelNotFound(
                f"no model {name} in {Home.find().models}, nor in a mesh that runs here",
                hint="`deskmesh models list` says what there is",
            )
        facts, for_programs = _facts_of_view(view), _for_programs(view, view.domains)
    else:
        if own.missing:
            raise InvalidRequest(
                f"{own.missing[0]} is missing of {own.name}",
                hint=f"`deskmesh models remove {own.name}`, and get it again",
            )
        with progress("reading", own.size_bytes, shown=not as_json) as on_progress:
            model = read_model([file.absolute() for file in own.files], on_progress)
        view = next((each for each in replicas_of if each.model_id == model.model_id), None)
        note = _note(own)
        facts = _facts_of_file(own, model, note)
        for_programs = _for_programs(model, note.domains or model.domains)
    if view is not None:
        facts |= _facts_of_mesh(view)
    if as_json:
        print_json(facts | for_programs | ({"mesh": to_plain(view)} if view is not None else {}))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        console.print(f"{key.replace('_', ' '):<{width}}  {value}", soft_wrap=True)


def verify_models(
    name: Annotated[str, typer.Argument(help="One model; without it, all that are here.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Hash model files again, and compare with what they had; exit 1 where a byte has changed."""
    verified = [_verify(model, quiet=as_json) for model in _models(name)]
    wrong = [each for each in verified if each.state in ("changed", "not verified")]
    if as_json:
        print_json({"models": [_plain(each) for each in verified]})
    elif not verified:
        console.print(f"no models in {Home.find().models}")
    else:
        for each in verified:
            console.print(_line(each), style="bold red" if each in wrong else "", soft_wrap=True)
    if wrong:
        raise typer.Exit(FAILED)


def _models(name: str) -> Sequence[OwnModel]:
    folder = Home.find().models
    if not name:
        return own_models(folder)
    model = own_model(folder, name) if NAME.fullmatch(name) else None
    if model is None:
        raise ModelNotFound(
            f"no model {name} in {folder}",
            hint="`deskmesh models verify` without a name takes all that are there",
        )
    return [model]


def _verify(model: OwnModel, *, quiet: bool) -> Verified:
    """Hash the model, and keep in its note when it was right, or what it had when first seen.

    What is wrong with one says nothing of the others, so nothing is raised.
    """
    if missing := model.missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        return Verified(model, "", "", f"{missing[0]}{more} is missing; get it again")
    try:
        note = _note(model)
        with progress(f"hashing {model.name}", model.size_bytes, shown=not quiet) as on_progress:
            sha256 = sha256_of(model.files, on_progress)
        verified = Verified(model, sha256, note.sha256)
        if verified.state == "right":
            _keep(model, note, {"verified": now()})
        elif verified.state == "first seen" and model.note.is_file():
            _keep(model, note, {"sha256": sha256, "verified": now()})
        return verified
    except InvalidRequest as why:
        return Verified(model, "", "", str(why))
    except OSError as failure:
        why_not = (failure.strerror or type(failure).__name__).lower()
        where = failure.filename or model.files[0]
        return Verified(model, "", "", f"{where}: {why_not}; mend it, and try again")


def _keep(model: OwnModel, note: ModelNote, known: dict[str, str]) -> None:
    write_note(note.model_copy(update=known), model.files[0])


def _line(verified: Verified) -> str:
    match verified.state:
        case "right":
            return f"{verified.name}: right, sha256 {verified.sha256}"
        case "first seen":
            return f"{verified.name}: nothing to compare with, sha256 {verified.sha256}"
        case "not verified":
            return f"{verified.name}: NOT VERIFIED, {verified.problem}"
    return (
        f"{verified.name}: CHANGED, {verified.model.where} has sha256 {verified.sha256[:16]}…"
        f" and had {verified.known_sha256[:16]}…; `deskmesh models remove {verified.name}`, then"
        " pull or add it again"
    )


def _plain(verified: Verified) -> dict[str, str]:
    return {
        "name": verified.name,
        "file": str(verified.model.files[0]),
        "state": verified.state,
        "sha256": verified.sha256,
        "known_sha256": verified.known_sha256,
        "problem": verified.problem,
    }


def _note(model: OwnModel) -> ModelNote:
    """Return what the note says; an empty one where there is none.

    Raises:
        InvalidRequest: it is broken; nothing is written in its place.
    """
    path = model.note
    if not path.is_file():
        return ModelNote()
    try:
        return read_note(path)
    except BrokenNote as why:
        raise InvalidRequest(f"{path}: {why}", hint="mend or remove it") from None


async def _views() -> Sequence[inference.ModelView]:
    """Return the models of the mesh; none where none runs here."""
    try:
        async with asyncio.timeout(MESH_WITHIN_S), connect(None) as mesh:
            return await mesh.models()
    except (MeshError, TimeoutError):
        return ()


def _facts_of_file(own: OwnModel, model: ReadModel, note: ModelNote) -> dict[str, object]:
    return {
        "name": own.name,
        "model_id": model.model_id,
        "file": own.where,
        "size": size(model.size_bytes),
        "sha256": model.sha256,
        "architecture": model.architecture,
        "parameters": count(model.parameters),
        "quantisation": model.quantisation,
        "context_tokens": model.context_tokens,
        "does": "embeds" if model.embeds else "writes",
        "template": model.template_sha256 or "none",
        "domains": ", ".join(note.domains or model.domains) or "none",
        "source": note.source or "not pulled",
        "licence": note.licence or "not known",
        "verified": _verdict(model, note),
    }


def _for_programs(
    model: ReadModel | inference.ModelView, domains: Iterable[str]
) -> dict[str, object]:
    """Return as numbers and lists what the facts say in words; in JSON alone."""
    return {
        "size_bytes": model.size_bytes,
        "parameters_count": model.parameters,
        "domain_list": list(domains),
    }


def _verdict(model: ReadModel, note: ModelNote) -> str:
    if not note.sha256:
        return "never: nobody has said what it should be"
    if note.sha256 != model.sha256:
        return f"NOT what it was: its sha256 was {note.sha256[:16]}…"
    return note.verified or "now"


def _facts_of_view(view: inference.ModelView) -> dict[str, object]:
    return {
        "name": ", ".join(view.names),
        "model_id": view.model_id,
        "file": "not in this machine's own folder",
        "size": size(view.size_bytes),
        "sha256": view.sha256,
        "architecture": view.architecture,
        "parameters": count(view.parameters),
        "quantisation": view.quantisation,
        "context_tokens": view.context_tokens,
        "template": view.template_sha256 or "none",
    }


def _facts_of_mesh(view: inference.ModelView) -> dict[str, object]:
    able = sorted(enums.CAPABILITY[each].value for each in view.capabilities)
    near = (
        f"{each.node_name} ({how_near(enums.REPLICA_STATE[each.state], each.load_progress)})"
        for each in view.replicas
    )
    return {"can": ", ".join(able) or "not known", "served_by": ", ".join(near) or "nobody"}
