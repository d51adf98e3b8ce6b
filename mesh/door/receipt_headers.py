"""The receipt in response headers, so that any tool can see where its answer came from.

Names of machines and models come from other machines. A header carries printable ASCII alone: all
else, and the percent sign, is percent-encoded as UTF-8, so nothing can forge a header or a line.
"""

from urllib.parse import quote

from mesh.v1 import inference_pb2 as inference

PREFIX = "x-deskmesh-"
VALUE_CHARACTERS_MAX = 512  # of the text before it is encoded; `why` is one sentence

_AS_IT_IS = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


def header_text(text: str) -> str:
    """Return ``text`` fit for a header's value; ``urllib.parse.unquote`` reads it back."""
    return quote(text[:VALUE_CHARACTERS_MAX].strip(), safe=_AS_IT_IS)


def started_headers(request_id: str, started: inference.GenerationStarted) -> dict[str, str]:
    """Return what is known of an answer when its first token is there."""
    return _headers(
        {
            "request-id": request_id,
            "model": started.model_name,
            "node": started.node_name,
            "tier": _tier(started.tier),
            "why": started.why,
        }
    ) | {"x-request-id": header_text(request_id)}


def receipt_headers(receipt: inference.Receipt) -> dict[str, str]:
    """Return what is known of a request that has ended."""
    known = {
        "request-id": receipt.request_id,
        "tier": _tier(receipt.tier),
        "why": receipt.why,
        "policy": receipt.policy,
        "attempts": str(len(receipt.attempts)),
        "queued-s": f"{receipt.queued_s:.6f}",
        "first-token-s": f"{receipt.first_token_s:.6f}",
        "total-s": f"{receipt.total_s:.6f}",
        "tokens-per-s": f"{receipt.tokens_per_s:.3f}",
        "cost-microusd": str(receipt.cost_microusd),
        "saved-microusd": str(receipt.saved_microusd),
    }
    if receipt.attempts:
        last = receipt.attempts[-1]
        known |= {"model": last.model_name, "node": last.node_name}
    return _headers(known) | {"x-request-id": header_text(receipt.request_id)}


def _headers(known: dict[str, str]) -> dict[str, str]:
    return {f"{PREFIX}{name}": header_text(value) for name, value in known.items() if value}


def _tier(tier: inference.Tier) -> str:
    named = inference.Tier.Name(tier) if tier in inference.Tier.values() else ""
    return "" if tier == inference.TIER_UNSPECIFIED else named.removeprefix("TIER_").lower()
