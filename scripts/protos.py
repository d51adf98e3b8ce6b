"""Writes the gRPC stubs in ``mesh/v1`` from ``protos/mesh/v1``; ``--check`` says if they are stale.

The compiler lives in ``.venv-protos``, apart from ``.venv``: stubs load in every protobuf that is
newer than the one which wrote them, so the oldest that we support writes them, while we run the
newest. The pin, and why it is that one, stands in ``requirements/protos.in``.

``mesh/v1/SOURCES.sha256`` (in the format of ``sha256sum``) holds what the stubs were made from and
what came out, so that ``--check`` needs neither the compiler nor a network, and a stub edited by
hand is noticed as well.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = Path("protos")
STUBS = Path("mesh/v1")
PIN = Path("requirements/protos.txt")
RECORD = STUBS / "SOURCES.sha256"
ENVIRONMENT = Path(".venv-protos")


def main(arguments: list[str] | None = None) -> int:
    """Write the stubs and return 0, or with ``--check`` return 1 where they are stale."""
    parser = argparse.ArgumentParser(
        prog="scripts.protos", description=(__doc__ or "").split(";")[0]
    )
    parser.add_argument("--check", action="store_true", help="exit 1 if the stubs are stale")
    if parser.parse_args(arguments).check:
        stale = stale_files(ROOT)
        for path in stale:
            print(
                f"{path} is not what the stubs were made with; run `make protos`", file=sys.stderr
            )
        return 1 if stale else 0
    try:
        names = write_stubs(ROOT)
    except subprocess.CalledProcessError as failure:
        print(failure.stderr.strip() or failure, file=sys.stderr)
        return 1
    print(f"wrote {len(names)} stubs into {STUBS}")
    return 0


def stale_files(root: Path) -> list[Path]:
    """Return the sources and stubs that were changed, added or removed since the last writing."""
    record = root / RECORD
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    recorded = {Path(path): digest for digest, path in (line.split("  ", 1) for line in lines)}
    found = digests(root)
    return sorted(
        path for path in recorded.keys() | found.keys() if recorded.get(path) != found.get(path)
    )


def digests(root: Path) -> dict[Path, str]:
    """Return the sha256 of all that decides the stubs, and of the stubs, by path below ``root``."""
    files = [root / PIN, *(root / PROTOS).rglob("*.proto"), *(root / STUBS).glob("*_pb2*.py*")]
    return {
        path.relative_to(root): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.exists()
    }


def write_stubs(root: Path) -> list[str]:
    """Replace every stub at once, after all of them were written without an error."""
    compiler = compiler_python(root)
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python", "pyi")]
        sources = [
            str(path.relative_to(root / PROTOS)) for path in (root / PROTOS).rglob("*.proto")
        ]
        run(compiler, "-m", "grpc_tools.protoc", "-I", str(root / PROTOS), *outputs, *sources)
        for old in (root / STUBS).glob("*_pb2*.py*"):
            old.unlink()
        made = sorted((Path(scratch) / STUBS).iterdir())
        for stub in made:
            shutil.copyfile(stub, root / STUBS / stub.name)
    lines = [f"{digest}  {path.as_posix()}\n" for path, digest in digests(root).items()]
    (root / RECORD).write_text("".join(lines), encoding="utf-8")
    return [stub.name for stub in made]


def compiler_python(root: Path) -> Path:
    """Return the Python that has grpcio-tools as pinned, and make it first where it is missing."""
    folder = root / ENVIRONMENT
    python = folder / "bin" / "python"
    stamp = folder / "pin.sha256"
    pin = hashlib.sha256((root / PIN).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == pin and python.exists():
        return python
    print(f"installing the stub compiler into {ENVIRONMENT}", flush=True)
    run(sys.executable, "-m", "venv", "--clear", folder)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", root / PIN)
    stamp.write_text(pin, encoding="utf-8")
    return python


def run(*command: str | Path) -> None:
    """Run ``command`` quietly; a failure carries what it said."""
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main())
