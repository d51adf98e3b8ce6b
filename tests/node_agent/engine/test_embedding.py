"""Texts become vectors as the model's file says, each the same whatever it is embedded with."""

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from gguf import PoolingType

from mesh.core.chat import Message, Role
from mesh.core.generation import Delta
from mesh.core.types import Capability
from mesh.errors import (
    ContextOverflow,
    InternalError,
    InvalidRequest,
    NodeLost,
    Overloaded,
    Unsupported,
)
from node_agent.engine.abort import Aborted, AbortFlag
from node_agent.engine.bindings import native
from node_agent.engine.embedder import Embedder
from node_agent.engine.embedding_limits import BATCH_TEXTS, BATCH_TOKENS
from node_agent.engine.protocol import LoadFailed
from node_agent.engine.supervisor import EngineProcess
from tests.node_agent.engine.asking import ask, hear
from tests.node_agent.engine.embedding_files import EncoderModel
from tests.node_agent.engine.gguf_files import RandomModel

TEXTS = ("the quick brown fox", "a", "lazy dogs 42", "the quick brown fox jumps over it all")
POOLINGS = (PoolingType.MEAN, PoolingType.CLS, PoolingType.LAST)

Load = Callable[[Path], Embedder]


@pytest.fixture(scope="module")
def encoder_file(models: Path) -> Path:
    return EncoderModel().write(models / "encoder.gguf")


@pytest.fixture(scope="module")
def decoder_file(models: Path) -> Path:
    """A decoder that was trained to embed: the last token, which saw all others, speaks for all."""
    model = RandomModel(pooling=PoolingType.LAST, context_tokens=256)
    return model.write(models / "embedding-decoder.gguf")


@pytest.fixture(scope="module")
def load() -> Load:
    return lambda path: Embedder(path, context_tokens=256, threads=1, abort=AbortFlag())


@pytest.fixture(scope="module")
async def embedding(encoder_file: Path) -> AsyncIterator[EngineProcess]:
    engine = await EngineProcess.start(
        encoder_file, context_tokens=128, slots=2, threads=1, embeds=True
    )
    yield engine
    await engine.close()


def embed(embedder: Embedder, *texts: str) -> np.ndarray:
    return np.array(embedder.embed([embedder.tokenise(text) for text in texts]))


def token_vectors(path: Path, ids: Sequence[int]) -> np.ndarray:
    """What the model makes of each token of one text, before any pooling."""
    model = native.llama_model_load_from_file(bytes(path), native.llama_model_default_params())
    settings = native.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 1024
    settings.embeddings, settings.pooling_type = True, native.LLAMA_POOLING_TYPE_NONE
    settings.flash_attn_type = native.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = native.llama_init_from_model(model, settings)
    batch = native.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for at, token in enumerate(ids):
        batch.token[at], batch.pos[at], batch.logits[at] = token, at, True
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
    assert native.llama_decode(context, batch) == 0
    width = native.llama_model_n_embd_out(model)
    rows = [native.llama_get_embeddings_ith(context, at)[:width] for at in range(len(ids))]
    native.llama_batch_free(batch)
    native.llama_free(context)
    native.llama_model_free(model)
    return np.array(rows)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_is_what_the_file_says(tmp_path: Path, load: Load, pooling: PoolingType) -> None:
    path = EncoderModel(pooling=pooling).write(tmp_path / "encoder.gguf")
    embedder = load(path)
    rows = token_vectors(path, embedder.tokenise(TEXTS[0]))
    by_hand = {
        PoolingType.MEAN: rows.mean(axis=0),
        PoolingType.CLS: rows[0],
        PoolingType.LAST: rows[-1],
    }
    unit = {each: vector / np.linalg.norm(vector) for each, vector in by_hand.items()}
    [vector] = embed(embedder, TEXTS[0])
    assert vector == pytest.approx(unit[pooling], abs=1e-5)
    for other in set(POOLINGS) - {pooling}:  # so that the comparison can fail
        assert np.abs(vector - unit[other]).max() > 0.01


def test_a_decoder_that_was_trained_to_embed_does(decoder_file: Path, load: Load) -> None:
    embedder = load(decoder_file)
    rows = token_vectors(decoder_file, embedder.tokenise(TEXTS[0]))
    [vector] = embed(embedder, TEXTS[0])
    assert vector == pytest.approx(rows[-1] / np.linalg.norm(rows[-1]), abs=1e-5)


def test_a_decoder_takes_a_text_that_is_longer_than_a_piece(models: Path) -> None:
    path = RandomModel(pooling=PoolingType.LAST).write(models / "long-decoder.gguf")
    embedder = Embedder(path, context_tokens=1024, threads=1, abort=AbortFlag())
    text = "round and round it goes, " * 40
    ids = embedder.tokenise(text)
    assert BATCH_TOKENS < len(ids) <= embedder.context_tokens
    rows = token_vectors(path, ids)
    [vector] = embed(embedder, text)
    assert vector == pytest.approx(rows[-1] / np.linalg.norm(rows[-1]), abs=1e-5)


def test_an_encoder_takes_a_text_that_is_longer_than_a_batch(models: Path) -> None:
    path = EncoderModel(context_tokens=1024).write(models / "long-encoder.gguf")
    embedder = Embedder(path, context_tokens=1024, threads=1, abort=AbortFlag())
    text = "abc " * 250
    rows = token_vectors(path, embedder.tokenise(text))
    mean = rows.mean(axis=0)
    assert len(rows) > BATCH_TOKENS
    [vector] = embed(embedder, text)
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_decoder_that_pools_all_tokens_takes_one_piece(models: Path) -> None:
    path = RandomModel(pooling=PoolingType.MEAN).write(models / "mean-decoder.gguf")
    embedder = Embedder(path, context_tokens=1024, threads=1, abort=AbortFlag())
    assert embedder.context_tokens == BATCH_TOKENS
    rows = token_vectors(path, embedder.tokenise(TEXTS[0]))
    mean = rows.mean(axis=0)
    [vector] = embed(embedder, TEXTS[0])
    assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


@pytest.mark.parametrize("file", ["encoder_file", "decoder_file"])
def test_a_text_among_others_has_the_vector_that_it_has_alone(
    request: pytest.FixtureRequest, load: Load, file: str
) -> None:
    embedder = load(request.getfixturevalue(file))
    together = embed(embedder, *TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        [alone] = embed(embedder, text)
        assert vector == pytest.approx(alone, abs=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.01


def test_what_was_embedded_before_changes_nothing(decoder_file: Path, load: Load) -> None:
    embedder = load(decoder_file)
    first = embed(embedder, TEXTS[0])
    embed(embedder, *TEXTS[1:])
    assert (embed(embedder, TEXTS[0]) == first).all()


def test_the_name_of_a_control_token_in_a_text_is_text(encoder_file: Path, load: Load) -> None:
    embedder = load(encoder_file)
    inside = embedder.tokenise("a [SEP] b")[1:-1]
    assert embedder.tokenise("")[-1] not in inside


def test_an_abort_breaks_it_off(encoder_file: Path) -> None:
    abort = AbortFlag()
    embedder = Embedder(encoder_file, context_tokens=256, threads=1, abort=abort)
    abort.set()
    with pytest.raises(Aborted):
        embed(embedder, "x")
    abort.clear()
    embed(embedder, "x")


def test_numbers_that_are_none_are_an_error(tmp_path: Path, load: Load) -> None:
    embedder = load(EncoderModel(broken=True).write(tmp_path / "broken.gguf"))
    with pytest.raises(InternalError, match="NaN"):
        embed(embedder, "x")


async def test_an_engine_embeds_and_counts_what_it_read(
    embedding: EngineProcess, encoder_file: Path, load: Load
) -> None:
    embedder = load(encoder_file)
    made = await embedding.embed(TEXTS)
    assert np.array(made.vectors) == pytest.approx(embed(embedder, *TEXTS), abs=1e-5)
    assert made.prompt_tokens == sum(len(embedder.tokenise(text)) for text in TEXTS)
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-5) for vector in made.vectors)
    assert embedding.info.capabilities == {Capability.EMBED}


async def test_many_texts_come_back_in_their_order(embedding: EngineProcess) -> None:
    texts = [TEXTS[index % len(TEXTS)] for index in range(3 * BATCH_TEXTS + 1)]
    made = await embedding.embed(texts)
    once = (await embedding.embed(TEXTS)).vectors
    for index, vector in enumerate(made.vectors):
        assert list(vector) == pytest.approx(list(once[index % len(TEXTS)]), abs=1e-5)


async def test_a_text_that_does_not_fit_is_refused_and_never_cut(embedding: EngineProcess) -> None:
    longest = "abc " * 42  # 126 tokens, and one at either end
    await embedding.embed([longest])
    with pytest.raises(ContextOverflow, match=r"inputs\[1\] has 131 tokens.* takes 128"):
        await embedding.embed(["fits", longest + "c d e"])


@pytest.mark.parametrize("texts", [[], ["a", " \n"], ["a"] * 2049, ["\ud800"]])
async def test_texts_that_none_could_embed_are_refused(
    embedding: EngineProcess, texts: list[str]
) -> None:
    with pytest.raises(InvalidRequest):
        await embedding.embed(texts)


async def test_a_model_that_embeds_is_not_made_to_write(embedding: EngineProcess) -> None:
    with pytest.raises(Unsupported, match="embeds text, and writes none"):
        await hear(embedding, ask("hello"))


async def test_a_model_that_writes_is_not_made_to_embed(engine: EngineProcess) -> None:
    with pytest.raises(Unsupported, match="writes text, and embeds none"):
        await engine.embed(["hello"])


async def test_a_prompt_has_as_many_tokens_as_were_counted(engine: EngineProcess) -> None:
    work = ask("How many are these?")
    counted = await engine.count_tokens(work.messages, ())
    assert counted == (await hear(engine, work)).finished.usage.prompt_tokens


async def test_a_prompt_longer_than_the_context_is_counted(engine: EngineProcess) -> None:
    long = await engine.count_tokens((Message(Role.USER, "x" * 2000),), ())
    short = await engine.count_tokens((Message(Role.USER, "x"),), ())
    assert long - short == 1999


async def test_an_embedding_model_counts_each_text_as_it_embeds_it(
    embedding: EngineProcess,
) -> None:
    counted = await embedding.count_tokens([Message(Role.USER, text) for text in TEXTS], ())
    assert counted == (await embedding.embed(TEXTS)).prompt_tokens


async def test_a_template_that_refuses_the_messages_refuses_to_count(tmp_path: Path) -> None:
    refusing = RandomModel(template="{{ raise_exception('no') }}").write(tmp_path / "no.gguf")
    engine = await EngineProcess.start(refusing, context_tokens=64, threads=1)
    try:
        with pytest.raises(InvalidRequest, match="refuses the messages: no"):
            await engine.count_tokens((Message(Role.USER, "x"),), ())
    finally:
        await engine.close()


@pytest.mark.parametrize("pooling", [None, PoolingType.NONE, PoolingType.RANK])
async def test_an_encoder_without_pooling_for_texts_is_not_loaded(
    tmp_path: Path, pooling: PoolingType | None
) -> None:
    path = EncoderModel(pooling=pooling).write(tmp_path / "encoder.gguf")
    with pytest.raises(LoadFailed, match="how a text becomes one vector"):
        await EngineProcess.start(path, context_tokens=64, threads=1, embeds=True)


async def test_a_model_that_writes_is_not_loaded_to_embed(random_model: Path) -> None:
    with pytest.raises(LoadFailed, match="how a text becomes one vector"):
        await EngineProcess.start(random_model, context_tokens=64, threads=1, embeds=True)


async def test_no_more_are_embedded_at_a_time_than_there_are_slots(
    embedding: EngineProcess,
) -> None:
    slow = [asyncio.create_task(embedding.embed(["a b c d e f"] * 500)) for _ in range(2)]
    await asyncio.sleep(0)  # both are asked
    with pytest.raises(Overloaded):
        await embedding.embed(["a"])
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await embedding.embed(["a"])  # their slots are free


async def test_a_count_that_nobody_waits_for_any_more_hurts_nobody(engine: EngineProcess) -> None:
    messages = ask("x").messages
    given_up = asyncio.create_task(engine.count_tokens(messages, ()))
    await asyncio.sleep(0)  # it is asked
    given_up.cancel()
    assert await engine.count_tokens(messages, ()) > 0  # after the answer that nobody took
    assert given_up.cancelled()


async def test_prompts_are_counted_while_every_slot_is_busy(endless: EngineProcess) -> None:
    work = ask("x", max_tokens=4000)
    async with aclosing(endless.generate(work)) as events:
        await anext(events)
        assert await endless.count_tokens(work.messages, ()) > 0
        assert isinstance(await anext(events), Delta)


async def test_no_more_are_counted_at_a_time_than_may_be(engine: EngineProcess) -> None:
    may, asked = 8 + 64, 100
    counting = [
        asyncio.create_task(engine.count_tokens(ask("x").messages, ())) for _ in range(asked)
    ]
    results = await asyncio.gather(*counting, return_exceptions=True)
    assert sum(isinstance(result, Overloaded) for result in results) == asked - may
    assert sum(isinstance(result, int) for result in results) == may


async def test_texts_are_counted_while_a_long_one_is_embedded(models: Path) -> None:
    slow = EncoderModel(layers=8, width=256, heads=8, feed_forward=1024, context_tokens=2048)
    path = slow.write(models / "slow-encoder.gguf")
    engine = await EngineProcess.start(path, context_tokens=2048, threads=1, embeds=True)
    long = asyncio.create_task(engine.embed(["a " * 2000]))
    await asyncio.sleep(0)  # it is asked
    assert await engine.count_tokens([Message(Role.USER, "abc")], ()) == 5
    assert not long.done()
    long.cancel()
    await asyncio.gather(long, return_exceptions=True)
    await engine.close()


async def test_an_engine_that_dies_ends_what_was_asked_of_it(encoder_file: Path) -> None:
    engine = await EngineProcess.start(encoder_file, context_tokens=128, threads=1, embeds=True)
    embedding = asyncio.create_task(engine.embed(["a b c d e f " * 6] * 2048))
    counting = asyncio.create_task(engine.count_tokens(ask("x").messages, ()))
    await asyncio.sleep(0)  # both are asked
    os.kill(engine.pid, signal.SIGKILL)
    for task in (embedding, counting):
        with pytest.raises(NodeLost, match="SIGKILL"):
            await task
    for again in (engine.embed(["a"]), engine.count_tokens(ask("x").messages, ())):
        with pytest.raises(NodeLost):
            await again
    await engine.close()


async def test_a_short_request_passes_a_long_one(embedding: EngineProcess) -> None:
    long = asyncio.create_task(embedding.embed(["a b c d e f " * 6] * 2048))
    await asyncio.sleep(0)
    await embedding.embed(["a"])
    assert not long.done()
    long.cancel()
    await asyncio.gather(long, return_exceptions=True)
