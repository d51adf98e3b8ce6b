"""OpenAI's chat completions, which most upstreams speak: OpenAI, Azure, OpenRouter, vLLM, any."""
