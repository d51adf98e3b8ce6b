"""Sets this clone up for ``make``: ``python -m scripts.setup node|dev``. Standard library only.

``node`` is what runs a mesh; ``dev`` adds what tests it. All of it lands in ``.venv``, part by
part: the environment, packages pinned by hash, the engine, and this folder itself, editable.
A part leaves a stamp once it is whole, so a second run does nothing, and an interrupted one is
taken up where it stopped.
"""

import argparse
import hashlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mesh.engine_build.chosen import chosen_engine, engine_changed
from mesh.engine_build.wheels import cache_folder, find_wheel
from scripts.engine_cache import ensure_wheel, wanted_build
from scripts.engine_compile import compile_wheel, require_compiler
from scripts.environment import Environment, pip_variables
from scripts.following import Errand, SetupError, follow, say, seconds
from scripts.locking import locked

ROOT = Path(__file__).resolve().parent.parent
GOES_ON = "`make` again goes on from here"


def main(arguments: list[str] | None = None) -> int:
    """Set up and return 0, or say why not and what to do, and return 1."""
    parser = argparse.ArgumentParser(prog="scripts.setup", description="Set this clone up.")
    parser.add_argument("kind", choices=("node", "dev"))
    kind = parser.parse_args(arguments).kind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that children end with us
    try:
        Setup(ROOT, kind).run()
    except SetupError as error:
        message, hint, code = error.message, error.hint, 1
    except (OSError, subprocess.CalledProcessError) as error:
        message, hint, code = f"the setup stopped: {error}", f"put that right; {GOES_ON}", 1
    except KeyboardInterrupt:
        message, hint, code = "the setup was interrupted", GOES_ON, 130
    else:
        return 0
    print(f"deskmesh: {message}\n  to do: {hint}", file=sys.stderr)
    return code


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to bring into the environment, again whenever its digest changes."""

    name: str
    digest: str
    make: Callable[[], None]
    more: str = ""  # the digest of another making that holds all of this one


class Setup:
    """What one clone needs, and the way there from whatever it has."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root = root
        self.environment = Environment(root)
        self.requirements = root / "requirements"
        self.pins = self.requirements / f"{kind}.txt"
        engine_pin = (self.requirements / "engine.txt").read_text(encoding="utf-8")
        self.chosen = chosen_engine(self.environment.folder)
        self.build = wanted_build(engine_pin, os.environ, self.chosen)
        self.cache = cache_folder(os.environ)
        self.engine = Part("engine", self.build.key, self._install_engine)
        more = _digest(self.requirements / "dev.txt")
        self.parts = (  # in the order of making; the first one made again undoes the others
            Part("environment", self.environment.origin, self._make_environment),
            Part("packages", _digest(self.pins), self._install_packages, more),
            self.engine,
            Part("deskmesh", _digest(root / "pyproject.toml"), self._install_project),
        )

    def run(self) -> None:
        """Make every part that is missing; silent where none is.

        Raises:
            SetupError: a part can't be made; those before it stay.
        """
        if self._is_done():
            return
        if not self._has(self.engine) and find_wheel(self.build, self.cache) is None:
            require_compiler(os.environ)
        began_s = time.monotonic()
        with locked(Path(__file__), "setup"):
            if self._is_done():
                return  # the one that we waited for did it
            print(f"Setting up .venv with Python {platform.python_version()}", flush=True)
            for part in self.parts:
                if not self._has(part):
                    self.environment.unstamp(part.name)
                    part.make()
                    self.environment.stamp(part.name, part.digest)
        print(f"Ready after {seconds(time.monotonic() - began_s)}.\n", flush=True)

    def _is_done(self) -> bool:
        return all(self._has(part) for part in self.parts)

    def _has(self, part: Part) -> bool:
        found = self.environment.stamp_of(part.name)
        return found is not None and found in (part.digest, part.more)

    def _make_environment(self) -> None:
        if self.environment.is_adoptable():
            say("environment", "the one that was here")
            return
        command = [sys.executable, "-m", "venv", "--clear", str(self.environment.folder)]
        hint = f"is the disk full? {GOES_ON}"
        self._follow(Errand("environment", "making it", command, hint), "new")

    def _install_packages(self) -> None:
        count = sum("==" in line for line in self.pins.read_text(encoding="utf-8").splitlines())
        command = [*self.environment.pip, "install", "--require-hashes", "-r", str(self.pins)]
        hint = f"is the package index in reach? {GOES_ON}"
        outcome = f"{count} pinned, each checked by its hash"
        self._follow(Errand("packages", f"installing {count}", command, hint), outcome)

    def _install_engine(self) -> None:
        wheel = ensure_wheel(self.build, self.cache, self._compile_engine)
        options = ["--no-deps", "--no-index", "--force-reinstall"]
        command = [*self.environment.pip, "install", *options, str(wheel)]
        hint = f"remove {wheel.parent} to have it compiled again"
        what = f", for {self.chosen.backend} as it was chosen" if self.chosen else ""
        outcome = f"llama-cpp-python {self.build.version} from this machine's cache{what}"
        self._follow(Errand("engine", "installing it", command, hint), outcome)
        if self.chosen is not None:  # its stamp went with an environment that was made anew
            engine_changed(self.environment.folder, self.build.key, self.chosen)

    def _compile_engine(self, folder: Path) -> None:
        compile_wheel(
            self.build,
            folder,
            requirements=self.requirements,
            pip=self.environment.pip,
            log=self._log("engine"),
        )

    def _install_project(self) -> None:
        options = ["--no-deps", "--no-index", "--no-build-isolation", "--editable"]
        command = [*self.environment.pip, "install", *options, str(self.root)]
        hint = "pyproject.toml, or a file that it names, is at fault"
        self._follow(Errand("deskmesh", "installing it", command, hint), "this folder, editable")

    def _follow(self, errand: Errand, outcome: str) -> None:
        took_s = follow(errand, log=self._log(errand.what), env=pip_variables())
        say(errand.what, f"{outcome}, {seconds(took_s)}")

    def _log(self, what: str) -> Path:
        return self.root / "build" / "setup" / f"{what}.log"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
