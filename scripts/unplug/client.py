"""The openai client as it is, on a machine of the demonstration: it knows one URL, and no mesh.

``python -m scripts.unplug.client URL``: each line on stdin is a prompt, whose answer is streamed.
What comes of it are lines of JSON: the machine that began, each piece of text and when it came,
and the end with usage and receipt.
"""

import json
import sys
import time
from typing import Any

from openai import OpenAI

TOKENS = 200  # about a second of the bundled model, so that there is a middle


def main() -> None:
    """Until stdin ends."""
    client = OpenAI(base_url=sys.argv[1], api_key="none", max_retries=0)  # no failure is hidden
    for line in sys.stdin:
        stream(client, line.strip())


def stream(client: OpenAI, prompt: str) -> None:
    """Ask once, and tell what comes as it comes."""
    chunks = client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
        temperature=1.0,
        seed=7,
        max_tokens=TOKENS,
    )
    tell(node=chunks.response.headers["x-deskmesh-node"])
    for chunk in chunks:
        for choice in chunk.choices:
            if choice.delta.content:
                tell(text=choice.delta.content, at_s=time.monotonic())
        if chunk.usage is not None:
            receipt = (chunk.model_extra or {})["deskmesh"]
            tell(tokens=chunk.usage.completion_tokens, receipt=receipt)


def tell(**what: Any) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    main()
