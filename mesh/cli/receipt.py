"""A receipt, as a person reads it."""

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from mesh.cli.output import money, seconds
from mesh.v1 import inference_pb2 as inference


def summary(receipt: inference.Receipt, usage: inference.Usage) -> str:
    """One line: which model, where, how fast, at what cost."""
    answered = receipt.attempts[-1]
    model = f"{answered.model_name} (test model)" if receipt.test_model else answered.model_name
    rate = f" · {receipt.tokens_per_s:.0f} tokens/s" if receipt.tokens_per_s else ""
    about = "about " if usage.estimated else ""
    return (
        f"{model} on {answered.node_name}{_cloud(receipt)} · "
        f"first token {seconds(receipt.first_token_s)}{rate} · "
        f"{about}{usage.prompt_tokens}+{usage.completion_tokens} tokens · "
        f"{seconds(receipt.total_s)}"
    )


def explain(receipt: inference.Receipt, console: Console) -> None:
    """Print which nodes could, which could not and why, and what was tried."""
    parts: list[RenderableType] = []
    if receipt.why:
        parts.append(Text(f"why: {receipt.why}"))
    if receipt.candidates:
        parts.append(_candidates(receipt))
    parts += [Text(f"{ruled.node_name} could not: {ruled.reason}") for ruled in receipt.ruled_out]
    parts += [Text(_attempt(attempt)) for attempt in receipt.attempts]
    if receipt.cost_microusd:
        parts.append(Text(f"cost: {money(receipt.cost_microusd)} (price: {receipt.price_version})"))
    if receipt.numerics_changed_at_token:
        changed = receipt.numerics_changed_at_token
        parts.append(Text(f"numerics changed at token {changed}: another machine would round so"))
    parts += [Text(note) for note in receipt.notes]
    console.print(Group(*parts))


def _candidates(receipt: inference.Receipt) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("could serve it", "with", "first token", "whole answer"):
        table.add_column(column, overflow="fold")
    for candidate in receipt.candidates:
        table.add_row(
            candidate.node_name,
            candidate.model_name,
            _predicted(candidate.predicted_first_token_s) or "-",
            _predicted(candidate.predicted_completion_s) or "-",
        )
    return table


def _attempt(attempt: inference.Attempt) -> str:
    took = f"{attempt.node_name}: {attempt.outcome.replace('_', ' ')}"
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
