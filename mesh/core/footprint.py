"""How much memory a model takes, foretold from what its file says of it. Pure.

llama.cpp's process holds, each from its own source (read in 2026-11, and measured with 0.3.36):

1. the weights. They are pages of the file, except those that ggml lays out anew for a processor
   (``node_agent.repacking``): these it holds twice, and reads the second ones alone.
2. keys and values of every slot's whole context, touched at once (``llama-kv-cache.cpp``: K and V
   of ``head_count_kv * key_length`` halves for each cell of each layer, none where a layer has no
   attention). Sliding windows save nothing: ``swa_full`` is llama.cpp's default, and prefixes are
   reused because of it. Multi-head latent attention keeps one row of K and no V.
3. states of recurrent layers, one for each slot, as ``llama-hparams.cpp`` has them: of 32 bits.
4. one buffer for what is computed on the way, as large as the largest step of the graph that lives
   at a time (``ggml-alloc.c``): attention's scores, the feed-forward part, or the logits.
5. the vocabulary, its merges, and the process itself.
"""

from dataclasses import dataclass

CHUNK_TOKENS = 128  # llama.cpp's ``n_ubatch`` here, which ``chunks.py`` sets
CELLS_STEP = 256  # ``llama_context`` rounds each slot's context up to it
FLOAT_BYTES = 4

PROOF_ROWS = 13  # of logits that an engine compares at its load (``engine/proof.py``)

# Python, the libraries' own data and the engine's thread stacks, before any model (measured).
PROCESS_BYTES = 23_500_000
LIBRARIES_BYTES = 18_000_000  # their pages, which other engines share (measured)
# Of llama.cpp's two tables of words, and of merges: strings, hashes and their nodes (measured).
WORD_BYTES = 145
MERGE_BYTES = 145
LAYER_BYTES = 200_000  # a graph's nodes and tensors, kept for the next step (measured)

# Where only a file's size is known: weights, and a tenth for everything else of a short context.
ROUGH_FACTOR = 1.1
ROUGH_BYTES = 400_000_000  # a context of 4,096 tokens and its buffers, for 1 to 8 billion weights


def rough_bytes(file_bytes: int) -> int:
    """Return what a model of so large a file takes, about, with one slot of 4,096 tokens.

    For files that are not here yet, or not read. Off by a third for unusual vocabularies.
    """
    return int(file_bytes * ROUGH_FACTOR) + ROUGH_BYTES


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides a model's memory, as its file tells it."""

    weights_bytes: int  # of all tensors
    repacked_bytes: int = 0  # of the weights that are held anew on this processor
    replaced_bytes: int = 0  # of those in the file that are not read again because of that
    cache_bytes_per_token: int = 0  # of keys and values in all layers, in 16 bits
    state_bytes: int = 0  # of a slot's recurrent layers, in 32 bits
    width: int = 0  # of the embedding
    layers: int = 0
    heads: int = 0  # of queries, in the layer that has most
    head_width: int = 0  # of a key
    feed_forward: int = 0  # of the widest layer, without experts
    experts_used: int = 0  # of a token in a layer
    expert_width: int = 0
    windowed: bool = False  # some layers look at a window: their mask is another one
    inner: int = 0  # width of a recurrent layer; 0: none
    words: int = 0
    merges: int = 0
    encoder: bool = False  # every token sees every other one: no cache, and no logits


@dataclass(frozen=True, slots=True)
class Served:
    """How a model is served."""

    slots: int
    context_tokens: int  # of each slot
    flash: bool = False  # attention without its scores in memory, as on GPUs
    chunk_tokens: int = CHUNK_TOKENS  # that are computed together
    output_rows: int = PROOF_ROWS  # tokens of a chunk whose logits are ever asked for


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a model will take, by what for. All in bytes."""

    process: int
    weights: int  # pages of the file that are read again and again
    replaced: int  # pages that are not, once their weights were held anew
    repacked: int
    cache: int
    compute: int

    @property
    def own(self) -> int:
        """What is the process's alone, and comes back only when it ends."""
        return self.process + self.repacked + self.cache + self.compute

    @property
    def resident(self) -> int:
        """What a process list shows after the load, with everything that it shares."""
        return LIBRARIES_BYTES + self.own + self.weights + self.replaced

    @property
    def total(self) -> int:
        """All of it: with less than this the model reads its file again for each token."""
        return self.own + self.weights


def foretell(shape: Shape, served: Served) -> Foretold:
    """Return what a model of ``shape`` takes, served like that on a processor."""
    words_bytes = shape.words * WORD_BYTES + shape.merges * MERGE_BYTES
    cells = served.slots * _cells(served)
    return Foretold(
        process=PROCESS_BYTES + words_bytes + shape.layers * LAYER_BYTES,
        weights=shape.weights_bytes - shape.replaced_bytes,
        replaced=shape.replaced_bytes,
        repacked=shape.repacked_bytes,
        cache=cells * shape.cache_bytes_per_token + served.slots * shape.state_bytes,
        compute=compute_bytes(shape, served) + _outputs_bytes(shape, served),
    )


def compute_bytes(shape: Shape, served: Served) -> int:
    """Return what the largest step of a graph takes, besides what lives through all of it.

    Scores: ``heads x cells x tokens`` floats; the softmax is computed in their place. Feed-forward:
    gate and up. Experts: those of every token chosen. Logits: one for each word and row that is
    asked for; llama.cpp reserves room for every row, which a processor's memory never feels. What
    lives through it: the residual, and within layers the masks of attention.
    """
    tokens = max(served.chunk_tokens, served.slots)
    cells = _cells(served)
    mask_bytes = cells * tokens * (2 if served.flash else FLOAT_BYTES) * (1 + shape.windowed)
    if not shape.heads:
        mask_bytes = 0
    queries = shape.heads * shape.head_width
    scores = 0 if served.flash else shape.heads * cells
    inside = mask_bytes + tokens * FLOAT_BYTES * max(  # a layer
        scores + 2 * queries,
        2 * shape.feed_forward,
        shape.experts_used * (2 * shape.expert_width + shape.width),
        4 * shape.inner,
    )
    behind = 0 if shape.encoder else _output_rows(served) * FLOAT_BYTES * shape.words
    return max(inside, behind) + 2 * tokens * FLOAT_BYTES * shape.width


def _outputs_bytes(shape: Shape, served: Served) -> int:
    """Logits are copied out of the graph, and room is kept for the most rows there ever were.

    Also where a model embeds, and none are made (``llama_context::output_reserve``): for each of
    its tokens, 8 GB for 8,192 tokens of a vocabulary of 250,000 words.
    """
    return _output_rows(served) * (shape.words + shape.encoder * shape.width) * FLOAT_BYTES


def _output_rows(served: Served) -> int:
    return max(served.output_rows, served.slots)


def _cells(served: Served) -> int:
    return -(-served.context_tokens // CELLS_STEP) * CELLS_STEP
