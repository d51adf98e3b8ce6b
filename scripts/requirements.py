"""Compiles ``requirements/*.txt`` from ``pyproject.toml`` and ``requirements/*.in``, with hashes.

``python -m scripts.requirements`` keeps every pin that still fits; ``--upgrade`` takes the newest
of all. Each file holds for Python 3.11 and newer, on Linux and macOS.
"""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENGINE = (
    "llama-cpp-python"  # compiled by ourselves, so only its dependencies are in the other files
)
UV = (sys.executable, "-m", "uv", "pip", "compile")
OPTIONS = (
    "--universal",
    "--generate-hashes",
    "--no-progress",
    "--quiet",
    "--python-version=3.11",
    "--custom-compile-command=make requirements",
)
# File to write -> what it holds. Later files of one environment agree with the earlier (-c).
NODE = ("pyproject.toml", "requirements/editable.in", "--extra=node", f"--no-emit-package={ENGINE}")
FILES: dict[str, Sequence[str]] = {
    "node": NODE,
    "dev": (*NODE, "--extra=dev", "--constraints=requirements/node.txt"),
    "engine": ("-", "--no-deps"),
    "engine-build": ("requirements/engine-build.in",),
    "protos": ("requirements/protos.in",),
}


def main(arguments: Sequence[str]) -> int:
    """Write every file, passing ``arguments`` on to ``uv pip compile``; return its exit code."""
    for name, sources in FILES.items():
        path = f"requirements/{name}.txt"
        compiled = subprocess.run(
            [*UV, *sources, *OPTIONS, *arguments, "--output-file", path],
            cwd=ROOT,
            input=engine_requirement(ROOT).encode(),
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if compiled.returncode:
            return compiled.returncode
        print(f"wrote {path}")
    return 0


def engine_requirement(root: Path) -> str:
    """Return the engine as ``pyproject.toml`` asks for it, such as ``llama-cpp-python==0.3.36``."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted: list[str] = project["optional-dependencies"]["node"]
    return next(requirement for requirement in wanted if requirement.startswith(ENGINE))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
