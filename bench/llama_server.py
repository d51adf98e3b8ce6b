"""llama.cpp's own server in a process of its own, from the package ``xllamacpp``.

``python -m bench.llama_server MODEL SLOTS CONTEXT_TOKENS THREADS POLL`` prints its address and
serves until its stdin ends. What is negative stays as it comes. How OpenMP's threads wait is for
the environment to say, and is read when the library is loaded: hence a process for each setting.
"""

import os
import sys

SYSTEM = "system"  # instead of a model: print what the build can do, and end


def main(arguments: list[str]) -> int:
    """Serve, or tell of the build."""
    # Native code logs to stdout too: only the address may go there.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import xllamacpp

    if arguments == [SYSTEM]:
        print(xllamacpp.get_system_info(), file=told)
        return 0
    model, *numbers = arguments
    slots, context_tokens, threads, poll = map(int, numbers)
    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.n_parallel = slots
    settings.n_ctx = slots * context_tokens
    settings.port = 0
    for each in (settings.cpuparams, settings.cpuparams_batch):
        if threads >= 0:
            each.n_threads = threads
        if poll >= 0:
            each.poll = poll
    server = xllamacpp.Server(settings)
    print(server.listening_address, file=told, flush=True)
    sys.stdin.read()
    os._exit(0)  # it serves on threads of its own, and has nothing to save


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
