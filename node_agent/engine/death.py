"""Says in words how a process ended."""

import re
import signal

# What a native assertion prints before it aborts. Only lines like this are passed on: anything else
# that a process wrote may hold a prompt.
_ASSERTION = re.compile(r"^(?:\S*/)?([\w.-]+:\d+): ([ -~]{1,200})", re.MULTILINE)

_MEANINGS = {
    signal.SIGKILL: "killed from outside, perhaps as the system ran out of memory",
    signal.SIGSEGV: "it used memory that is not its own",
    signal.SIGBUS: "its model file changed or vanished while in use",
    signal.SIGILL: "this processor lacks an instruction that the engine was built for",
    signal.SIGABRT: "it gave up",
}


def exit_in_words(code: int, last_words: bytes) -> str:
    """Return why a process with exit ``code`` (negative: a signal) ended, in one line."""
    if code >= 0:
        return f"the engine process ended with exit code {code}"
    try:
        fatal = signal.Signals(-code)
    except ValueError:
        return f"the engine process was ended by signal {-code}"
    meaning = _MEANINGS.get(fatal, "")
    if assertion := _ASSERTION.search(last_words.decode(errors="replace")):
        meaning = f"{assertion[1]}: {assertion[2]}"
    return f"the engine process was ended by {fatal.name}" + (f" ({meaning})" if meaning else "")
