"""Where Ollama keeps its models that runs as a service of Linux's systemd.

Facts, from docs/linux.mdx and docs/faq.mdx of github.com/ollama/ollama: its unit is
``/etc/systemd/system/ollama.service``, it runs as a user ``ollama`` whose home is
``/usr/share/ollama``, and who wants the models elsewhere sets ``OLLAMA_MODELS`` by ``systemctl
edit``, which writes ``ollama.service.d/override.conf``. Of several assignments the last one counts,
and an empty one takes all before it back (systemd.exec(5), Environment=; drop-ins by name,
systemd.unit(5)).
"""

import shlex
from pathlib import Path

from node_agent.library.store import read_text_file

STORE = Path("/usr/share/ollama/.ollama/models")
UNIT = Path("/etc/systemd/system/ollama.service")
UNIT_BYTES_MAX = 64 << 10  # a hundred times what it takes
DROP_INS_MAX = 64
VARIABLE = "OLLAMA_MODELS"


def service_store(unit: Path = UNIT) -> Path:
    """Return the store of the service whose unit that is, whether there is one or not."""
    try:
        drop_ins = sorted(unit.with_name(f"{unit.name}.d").glob("*.conf"))[:DROP_INS_MAX]
    except OSError:
        drop_ins = []
    store = STORE
    for file in (unit, *drop_ins):
        for line in read_text_file(file, UNIT_BYTES_MAX).splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "Environment":
                store = _store_in(value.strip(), store)
    return store


def _store_in(assignments: str, before: Path) -> Path:
    if not assignments:
        return STORE
    try:
        assigned = dict(each.partition("=")[::2] for each in shlex.split(assignments))
    except ValueError:  # a quote without its end, which systemd ignores as well
        return before
    store = assigned.get(VARIABLE, "")
    # A specifier such as %h is the service's own to know.
    return Path(store) if store.startswith("/") and "%" not in store else before
