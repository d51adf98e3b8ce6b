"""What every chat API over HTTP has in common, read and written as others do it.

Coordinators ask upstreams by it and nodes the engines that they have adopted; neither opens a
connection here. OpenAI's own API, which most of them speak, is ``openai_body`` and
``openai_chunks``.
"""
