"""A planned engine's wheel: from the cache that `make` uses, or built into it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mesh.engine_build.chosen import ChosenEngine
from mesh.engine_build.making import build_wheel, pinned_version
from mesh.engine_build.plan import Backend, BuildPlan
from mesh.engine_build.wheels import (
    EngineBuild,
    cache_folder,
    ensure_wheel,
    find_wheel,
    machine_digest,
)
from mesh.errors import InvalidRequest, ServiceError
from mesh.gpus.gpu import Gpu
from mesh.platforms.here import HERE


class KeptWheels:
    """The wheel of one plan in this user's cache.

    Args:
        gpus: that this machine has. CUDA's kernels are made for the very cards that are there.
    """

    def __init__(self, build: BuildPlan, gpus: Sequence[Gpu]) -> None:
        names = () if build.backend is Backend.CPU else sorted(gpu.name for gpu in gpus)
        self.chosen = ChosenEngine(build.backend.value, build.cmake_args, tuple(names))
        self.build = EngineBuild(pinned_version(), build.cmake_args, machine_digest(names))
        self.cache = cache_folder(os.environ)

    def found(self) -> Path | None:
        """Return the wheel where it was built before, and is as it was then."""
        return find_wheel(self.build, self.cache)

    def made(self, told: Callable[[int, int], None]) -> Path:
        """Return the wheel, built where it must be; ``told`` hears how far that has come.

        Raises:
            InvalidRequest: it was not built, or another process builds it just now.
            ServiceError: the disk of the cache refuses.
        """

        def compile_into(folder: Path) -> None:
            build_wheel(self.build.cmake_args, folder, told)

        try:
            wheel = ensure_wheel(self.build, self.cache, compile_into, _alone)
        except OSError as failure:
            raise ServiceError(f"cannot keep the engine in {self.cache}: {failure}") from None
        if wheel is None:
            raise ServiceError(f"the engine that was built is not whole in {self.cache}")
        return wheel


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | HERE.open_flags, 0o600)
    try:
        try:
            HERE.lock(descriptor)
        except BlockingIOError:
            raise InvalidRequest(
                "another process builds this very engine",
                hint="run the same command again once it has ended: it takes what that one built",
            ) from None
        yield
    finally:
        os.close(descriptor)
