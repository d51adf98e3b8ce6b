"""A receipt, as a person reads it."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.output import money, seconds
from mesh.v1 import inference_pb2 as inference

TABLE_COLUMNS_MIN = 110  # of a terminal; a reason takes some 60 of them


def summary(receipt: inference.Receipt, usage: inference.Usage) -> str:
    """One line: which model, where, how fast, at what cost."""
    answered = receipt.attempts[-1]
    model = f"{answered.model_name} (test model)" if receipt.test_model else answered.model_name
    rate = f" · {receipt.tokens_per_s:.0f} tokens/s" if receipt.tokens_per_s else ""
    about = "about " if usage.estimated else ""
    engine = f" by {answered.engine}" if answered.engine else ""
    return (
        f"{model} on {answered.node_name}{engine}{_cloud(receipt)} · "
        f"first token {seconds(receipt.first_token_s)}{rate} · "
        f"{about}{usage.prompt_tokens}+{usage.completion_tokens} tokens · "
        f"{seconds(receipt.total_s)}"
    )


def explain(receipt: inference.Receipt, console: Console) -> None:
    """Print which nodes could and which not, with why each was not chosen, and what was tried."""
    parts: list[RenderableType] = []
    if receipt.why:
        parts.append(Text(f"why: {receipt.why}"))
    if len(receipt.ladder) > 1:
        parts += [Text(_rung(rung)) for rung in receipt.ladder]
    if receipt.candidates:
        narrow = console.width < TABLE_COLUMNS_MIN
        parts += _listed(receipt) if narrow else [_candidates(receipt)]
    parts += [Text(f"{ruled.node_name} could not: {ruled.reason}") for ruled in receipt.ruled_out]
    parts += _attempts(receipt)
    if receipt.cost_microusd:
        parts.append(Text(f"cost: {money(receipt.cost_microusd)} (price: {receipt.price_version})"))
    if receipt.numerics_changed_at_token:
        changed = receipt.numerics_changed_at_token
        parts.append(Text(f"numerics changed at token {changed}: another machine would round so"))
    parts += [Text(note) for note in receipt.notes if note != receipt.why]
    console.print(Group(*parts))


def _rung(rung: inference.Rung) -> str:
    """One model that could answer: what was expected of it, what came, and if it was chosen."""
    if rung.removed_by:
        return f"rung {rung.model_name}: removed, {rung.removed_by}"
    told = ["chosen"] if rung.chosen else []
    if rung.standing:
        told.append(f"new to auto: {rung.standing}")
    if rung.p_ok:
        told.append(f"P(ok) {rung.p_ok:.2f}")
    if rung.threshold:
        told.append(f"confidence {rung.confidence:.2f} of at least {rung.threshold:.2f}")
    if rung.expected_cost_microusd:
        told.append(f"about {money(rung.expected_cost_microusd)}")
    return f"rung {rung.model_name}: {', '.join(told) or 'not tried'}"


def _candidates(receipt: inference.Receipt) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("could serve it", "with", "first token", "whole answer", "chosen, or why not"):
        table.add_column(column, overflow="fold")
    for candidate in receipt.candidates:
        table.add_row(
            candidate.node_name,
            candidate.model_name,
            _predicted(candidate.predicted_first_token_s) or "-",
            _predicted(candidate.predicted_completion_s) or "-",
            candidate.reason or "chosen",
        )
    return table


def _listed(receipt: inference.Receipt) -> list[Text]:
    """What a table says, for a terminal that would fold its cells to single words."""
    lines = []
    for candidate in receipt.candidates:
        first, whole = candidate.predicted_first_token_s, candidate.predicted_completion_s
        predicted = (
            f": first token {_predicted(first)}, whole answer {_predicted(whole)}" if first else ""
        )
        lines.append(
            Text(f"{candidate.node_name} could, with {candidate.model_name}{predicted}; ").append(
                f"not chosen: {candidate.reason}" if candidate.reason else "chosen"
            )
        )
    return lines


def _attempts(receipt: inference.Receipt) -> list[Text]:
    """One line each; the answer goes on where the attempt before it stopped."""
    lines, tokens = [], 0
    for attempt in receipt.attempts:
        lines.append(Text(_attempt(attempt, goes_on_at=tokens)))
        tokens += attempt.usage.completion_tokens
    return lines


def _attempt(attempt: inference.Attempt, goes_on_at: int) -> str:
    gave = attempt.usage.completion_tokens
    who = f"{attempt.node_name} went on at token {goes_on_at}" if goes_on_at else attempt.node_name
    engine = f" by {attempt.engine}" if attempt.engine else ""
    took = f"{who}: {attempt.outcome.replace('_', ' ')}{engine}"
    if gave and attempt.outcome != "answered":
        took += f", {gave} tokens given"
    reason = f", {attempt.reason}" if attempt.reason else ""
    cost = f", {money(attempt.cost_microusd)}" if attempt.cost_microusd else ""
    if not attempt.first_token_s:
        return f"tried {took}{reason} (after {seconds(attempt.duration_s)}{cost})"
    predicted = _predicted(attempt.predicted_first_token_s)
    return (
        f"tried {took}{reason} (first token {seconds(attempt.first_token_s)}"
        f"{f', {predicted}' if predicted else ''}; {seconds(attempt.duration_s)} in all{cost})"
    )


def _cloud(receipt: inference.Receipt) -> str:
    """That the prompt left the mesh is said, whatever it cost."""
    if receipt.tier != inference.TIER_CLOUD:
        return ""
    return f" (cloud, {money(receipt.cost_microusd) if receipt.cost_microusd else 'free'})"


def _predicted(value_s: float) -> str:
    """Nothing is predicted for a cloud: "" says so."""
    return f"predicted {seconds(value_s)}" if value_s else ""
