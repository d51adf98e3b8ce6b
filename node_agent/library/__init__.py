"""Which models this machine has, known by their content.

A source looks at files and yields paths and the names people know them by (``found``); today there
are folders of GGUF files and the bundled test model, and another kind of store is one more source.
``catalogue`` asks the sources every now and then, has each new or changed file described, and tells
who listens. Two rules hold throughout:

1. Model files are hostile until proven otherwise: parsers of GGUF have had remote code execution.
   The agent never opens one. ``describe`` does, in a short-lived child with limits on memory, time
   and output, and the parent checks each line that it prints. numpy stays out of the agent, too.
2. No file is hashed twice: what was learned is kept by path, size and modification time.

This module imports nothing, because the child imports it as well.
"""
