"""Says in words how a process ended."""

import re

from mesh.platforms.here import HERE
from mesh.platforms.platform import Ended

# What a native assertion prints before it aborts. Only lines like this are passed on: anything else
# that a process wrote may hold a prompt.
_ASSERTION = re.compile(r"^(?:\S*/)?([\w.-]+:\d+): ([ -~]{1,200})", re.MULTILINE)

_MEANINGS = {
    Ended.KILLED: "killed from outside, perhaps as the system ran out of memory",
    Ended.BAD_MEMORY: "it used memory that is not its own",
    Ended.LOST_FILE: "its model file changed or vanished while in use",
    Ended.BAD_INSTRUCTION: "this processor lacks an instruction that the engine was built for",
    Ended.ABORTED: "it gave up",
}


def exit_in_words(code: int, last_words: bytes) -> str:
    """Return why a process with exit ``code``, as ``subprocess`` has it, ended, in one line."""
    ending = HERE.ending(code)
    if ending is None:
        return f"the engine process ended with exit code {code}"
    meaning = _MEANINGS.get(ending.how, "")
    if assertion := _ASSERTION.search(last_words.decode(errors="replace")):
        meaning = f"{assertion[1]}: {assertion[2]}"
    return f"the engine process was ended by {ending.name}" + (f" ({meaning})" if meaning else "")
