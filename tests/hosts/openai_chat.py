"""The unmodified openai client on a host: streams a chat each time that it is told a model.

``python -m tests.hosts.openai_chat``: it stays one process with one client and its connections, as
a tool does that stays open while the mesh changes around it. Each line on stdin is a model's name;
the answer is a line of JSON with the text, the number of parts and the receipt's headers.
"""

import json
import sys

from openai import OpenAI

URL = "http://localhost:7480/v1"
PROMPT = "Reverse the word: mesh"


def main() -> None:
    """Until stdin ends."""
    client = OpenAI(base_url=URL, api_key="none", max_retries=0)  # no failure is hidden
    for line in sys.stdin:
        sys.stdout.write(json.dumps(chat(client, line.strip())) + "\n")
        sys.stdout.flush()


def chat(client: OpenAI, model: str) -> dict[str, object]:
    """Stream one answer."""
    asked = client.chat.completions.with_raw_response.create(
        model=model,
        messages=[{"role": "user", "content": PROMPT}],
        stream=True,
        stream_options={"include_usage": True},
        temperature=0,
    )
    parts, tokens = [], 0
    for chunk in asked.parse():
        parts += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    told = {key: value for key, value in asked.headers.items() if key.startswith("x-deskmesh-")}
    return {"text": "".join(parts), "parts": len(parts), "tokens": tokens, "headers": told}


if __name__ == "__main__":
    main()
