"""What an answer that has ended teaches about whoever gave it, and about answers like it.

Times are taken here, from the command's leaving to the tokens' coming, so a node cannot make itself
look quicker than it is. Its counts of the prompt's tokens are believed as far as the prompt's bytes
allow; a false one shifts its own times only, and a model's bytes per token by a vote of many.
"""

from mesh.core.experience import DECODED_MIN, PROMPT_TOKENS_MIN, Habits
from mesh.core.node import Replica, Reservation
from mesh.core.progress import Attempt, Progress
from mesh.core.speed import interruption, slowdown, speed_of
from mesh.core.types import Capability, Usage

TEMPLATE_TOKENS_MAX = 1024  # that a chat template adds to a prompt: dates, rules for tools
OVERHEAD_S_MIN = 1e-4


def learn(replica: Replica, habits: Habits, progress: Progress, usage: Usage, now_s: float) -> None:
    """Take in the whole answer of the attempt under way, which ran on ``replica``."""
    request, attempt = progress.request, progress.attempt
    assert attempt is not None, "an answer that is whole was being given"
    output_tokens = attempt.tokens - request.resumed_tokens
    own_tokens = output_tokens - attempt.others_tokens
    resumed = request.resumed_tokens + attempt.others_tokens
    model_id = replica.model.model_id
    prompt_tokens = min(max(0, usage.prompt_tokens), request.prompt_bytes + TEMPLATE_TOKENS_MAX)
    # A guess teaches nothing of a prompt's tokens, and an image's are in none of its bytes.
    counted = not usage.estimated and Capability.VISION not in request.needs
    habits.learn(
        model_id,
        request,
        prompt_tokens=prompt_tokens if counted else 0,
        output_tokens=output_tokens,
    )
    if usage.estimated:  # by whoever answered: our own guess is at least the one that was predicted
        prompt_tokens = round(habits.prompt_tokens(model_id, request.prompt_bytes))
    reserved = replica.reserved.get(attempt.attempt_id)
    if attempt.first_token_s is None or reserved is None:
        return
    crowd = 1 + replica.crowd
    if own_tokens >= DECODED_MIN:
        batch = (reserved.batch + replica.running) / 2
        token_s = (now_s - attempt.first_token_s) / (own_tokens - 1)
        slower = slowdown(replica.status.decode_rates_by_batch, batch) * crowd
        replica.experience.decode_s.add(token_s / slower)
    if not resumed:
        read_tokens = max(0, prompt_tokens - max(0, usage.cached_tokens))
        _learn_first_token(replica, attempt, reserved, read_tokens, crowd)
    replica.reckon()


def _learn_first_token(
    replica: Replica, attempt: Attempt, reserved: Reservation, read_tokens: int, crowd: int
) -> None:
    assert attempt.first_token_s is not None
    candidate, experience = attempt.candidate, replica.experience
    taken_s = attempt.first_token_s - attempt.began_s - replica.node.rtt_s - candidate.decode_s
    prefill_s = candidate.reading_s / max(1.0, candidate.prompt_tokens)  # as it was predicted
    if reserved.cold:
        read_s = reserved.ahead_s + read_tokens * prefill_s
        experience.load_s.add(max(OVERHEAD_S_MIN, taken_s - read_s))
        return
    if read_tokens < PROMPT_TOKENS_MIN or prefill_s <= 0:
        beside_s = taken_s - reserved.ahead_s - read_tokens * prefill_s
        experience.overhead_s.add(max(OVERHEAD_S_MIN, beside_s))
        return
    # Prompts before it were read at the same rate, whatever that is.
    tokens = read_tokens + reserved.ahead_s / prefill_s
    overhead_s = experience.overhead_s.value if experience.overhead_s.weight > 0 else 0.0
    alone = speed_of(replica.node.machine, replica.model, replica.status, experience)
    rates, others = replica.status.decode_rates_by_batch, reserved.batch - 1
    slower = crowd * interruption(alone.prefill_s, alone.decode_s, rates, others)
    experience.prefill_s.add(max(0.0, taken_s - overhead_s) / tokens / slower)
