"""Compiles the engine into a wheel, with build tools that are pinned by hash like all the rest."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh.engine_build.wheels import EngineBuild
from scripts.environment import pip_variables
from scripts.following import Errand, SetupError, follow, say, seconds

PROBE = "#include <vector>\nint main() { return static_cast<int>(std::vector<int>().size()); }\n"


def require_compiler(env: Mapping[str, str]) -> None:
    """Refuse at once where nothing compiles, rather than minutes later in a wall of text.

    Raises:
        SetupError: no C++ compiler works here.
    """
    names = [env["CXX"]] if env.get("CXX") else ["c++", "g++", "clang++"]
    if any(_compiles(name.split()) for name in names):
        return
    raise SetupError(
        f"no C++ compiler works here (tried {', '.join(names)}), and the engine, llama.cpp, is "
        "compiled once on each machine",
        hint="xcode-select --install"
        if sys.platform == "darwin"
        else "apt install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora), or name yours in CXX",
    )


def compile_wheel(
    build: EngineBuild, folder: Path, *, requirements: Path, pip: Sequence[str], log: Path
) -> None:
    """Compile ``build`` into ``folder``; the folder above it is scratch space.

    Raises:
        SetupError: a download or the compiler failed; the end of its output was printed.
    """
    scratch = folder.parent
    tools = scratch / "tools"
    variables = pip_variables()
    variables |= {
        "CMAKE_ARGS": " ".join(build.cmake_args),
        "PATH": f"{tools / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}",
        "TMPDIR": str(scratch),  # pip unpacks and compiles in there: 500 MB, swept up with it
    }
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tools)], check=True)
    pip_for_tools = [*pip, "--python", str(tools / "bin" / "python")]
    pinned = ["--require-hashes", "-r"]
    fetching = Errand(
        "engine",
        "fetching its build tools",
        [*pip_for_tools, "install", *pinned, str(requirements / "engine-build.txt")],
        hint="is the package index in reach? `make` again goes on from here",
    )
    follow(fetching, log=log, env=variables)
    # `-v` lets ninja's progress through; pip's own isolation would fetch unpinned build tools.
    options = ["-v", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    compiling = Errand(
        "engine",
        f"compiling llama-cpp-python {build.version}, once per machine",
        [*pip_for_tools, "wheel", *options, *pinned, str(requirements / "engine.txt")],
        hint="the first `error:` in it says why; it takes a C++17 compiler and 1 GB of free disk",
    )
    took_s = follow(compiling, log=log, env=variables)
    say("engine", f"compiled in {seconds(took_s)}, kept for every clone on this machine")


def _compiles(compiler: list[str]) -> bool:
    """Try it: on a Mac without its developer tools, ``c++`` exists and does nothing."""
    try:
        probe = subprocess.run(
            [*compiler, "-x", "c++", "-fsyntax-only", "-"],
            input=PROBE.encode(),
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return probe.returncode == 0
