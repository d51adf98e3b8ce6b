"""What the agent process never has in it: the parsers of model files."""

import subprocess
import sys


def test_the_agent_never_imports_what_parses_models() -> None:
    """numpy alone would take a quarter of an idle agent's memory."""
    script = (
        "import sys, node_agent.library.catalogue, node_agent.library.bundled\n"
        "sys.exit(any(name.split('.')[0] in {'numpy', 'gguf'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
