"""The setup compiles once, refuses early, says what went wrong, and does nothing twice."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mesh.engine_build.chosen import ChosenEngine, chosen_engine, engine_changed, engine_changes
from mesh.engine_build.wheels import WHEELS_KEPT, EngineBuild, cache_folder, find_wheel
from scripts.engine_cache import ensure_wheel, wanted_build
from scripts.environment import Environment
from scripts.following import TAIL_LINES, Errand, SetupError, follow, seconds, share_done
from tests.tidy.tree import ROOT

PIN = "llama-cpp-python==0.3.36 \\\n    --hash=sha256:00\n"
BUILD = wanted_build(PIN, {})
SPAWN = multiprocessing.get_context("spawn")


class Compiler:
    """Stands in for minutes of compiling, and counts how often it was called, across processes."""

    def __init__(self, calls: Path) -> None:
        self.calls = calls

    def __call__(self, folder: Path) -> None:
        with self.calls.open("a", encoding="utf-8") as calls:
            calls.write("compiled\n")
        (folder / "engine.whl").write_text("wheel", encoding="utf-8")

    @property
    def count(self) -> int:
        return len(self.calls.read_text(encoding="utf-8").splitlines())


def failing(folder: Path) -> None:
    (folder / "engine.whl").write_text("half a wh", encoding="utf-8")
    raise SetupError("the compiler failed", hint="none")


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path / "calls")


def errand(program: str) -> Errand:
    return Errand("engine", "compiling", [sys.executable, "-c", program], "look closely")


def test_the_engine_is_compiled_once_for_all_clones(compiler: Compiler, tmp_path: Path) -> None:
    wheels = {ensure_wheel(BUILD, tmp_path / "cache", compiler) for _ in range(2)}
    assert wheels == {tmp_path / "cache" / BUILD.key / "engine.whl"}
    assert compiler.count == 1


def test_clones_that_set_up_at_the_same_time_compile_once(
    compiler: Compiler, tmp_path: Path
) -> None:
    arguments = (BUILD, tmp_path / "cache", compiler)
    processes = [SPAWN.Process(target=ensure_wheel, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert compiler.count == 1


def test_a_failed_compilation_leaves_nothing_to_be_mistaken_for_a_wheel(
    compiler: Compiler, tmp_path: Path
) -> None:
    with pytest.raises(SetupError):
        ensure_wheel(BUILD, tmp_path, failing)
    assert find_wheel(BUILD, tmp_path) is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{BUILD.key}.lock"]
    assert ensure_wheel(BUILD, tmp_path, compiler).read_text(encoding="utf-8") == "wheel"


def test_what_a_killed_compilation_left_is_swept_up(compiler: Compiler, tmp_path: Path) -> None:
    leftover = tmp_path / f"{BUILD.key}.making-killed"
    leftover.mkdir()
    ensure_wheel(BUILD, tmp_path, compiler)
    assert not leftover.exists()


def test_the_cache_of_wheels_is_bounded(compiler: Compiler, tmp_path: Path) -> None:
    for version in range(WHEELS_KEPT + 2):
        build = EngineBuild(f"0.0.{version}", (), "machine")
        wheel = ensure_wheel(build, tmp_path, compiler)
        os.utime(wheel.parent, (version, version))
    kept = list(tmp_path.glob("*/*.whl"))
    assert len(kept) == WHEELS_KEPT
    assert not find_wheel(EngineBuild("0.0.0", (), "machine"), tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        wanted_build(PIN.replace("0.3.36", "0.3.37"), {}),
        wanted_build(PIN, {"CMAKE_ARGS": "-DGGML_CUDA=ON"}),
        EngineBuild(BUILD.version, BUILD.cmake_args, "another machine"),
    ],
)
def test_another_version_option_or_machine_is_another_wheel(other: EngineBuild) -> None:
    assert other.key != BUILD.key
    assert wanted_build(PIN, {}).key == BUILD.key


def test_the_cache_follows_the_platform_and_its_variable() -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/cache"}) == Path("/cache/deskmesh/wheels")
    assert cache_folder({}).parts[-2:] == ("deskmesh", "wheels")


def test_a_wheel_that_was_changed_is_made_again(compiler: Compiler, tmp_path: Path) -> None:
    wheel = ensure_wheel(BUILD, tmp_path, compiler)
    wheel.write_text("whee1", encoding="utf-8")
    assert find_wheel(BUILD, tmp_path) is None
    assert ensure_wheel(BUILD, tmp_path, compiler).read_text(encoding="utf-8") == "wheel"
    assert compiler.count == 2


VULKAN = ChosenEngine("vulkan", ("-DGGML_VULKAN=ON",), ("Arc A770",))


def test_an_engine_that_was_chosen_stays_and_comes_again_with_the_next_version(
    tmp_path: Path,
) -> None:
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    environment.stamp("engine", BUILD.key)
    environment.stamp("packages", "digest")
    installed = wanted_build(PIN, {}, VULKAN)
    engine_changes(environment.folder)
    assert environment.stamp_of("engine") is None, "an interruption leaves it to be mended"
    engine_changed(environment.folder, installed.key, VULKAN)
    assert environment.stamp_of("packages") == "digest"
    chosen = chosen_engine(environment.folder)
    assert chosen == VULKAN
    assert wanted_build(PIN, {"CMAKE_ARGS": "-DX=ON"}, chosen).key == environment.stamp_of("engine")
    later = wanted_build(PIN.replace("0.3.36", "0.3.37"), {}, chosen)
    assert (later.version, later.cmake_args) == ("0.3.37", VULKAN.cmake_args)


def test_an_environment_that_no_setup_made_is_given_no_stamps(tmp_path: Path) -> None:
    engine_changed(tmp_path, BUILD.key, VULKAN)
    assert list(tmp_path.iterdir()) == []
    assert chosen_engine(tmp_path) is None


@pytest.mark.parametrize("said", ["[]", "3", '{"backend": "cuda"}', "{", '{"a": 1}'])
def test_a_choice_that_cannot_be_read_is_none(said: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.folder.mkdir()
    environment.stamp("engine chosen", said)
    assert chosen_engine(environment.folder) is None


def test_a_setup_needs_no_package() -> None:
    command = [sys.executable, "-S", "-E", "-c", "import scripts.setup"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_a_failed_command_shows_the_end_of_its_output_and_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import sys; print(*range(1000), sep='\\n'); sys.exit(3)"
    with pytest.raises(SetupError, match="engine failed") as caught:
        follow(errand(program), log=tmp_path / "engine.log", env=os.environ)
    shown = capsys.readouterr().out.splitlines()
    assert shown == [f"  | {number}" for number in range(1000 - TAIL_LINES, 1000)]
    assert caught.value.hint == "look closely"
    assert str(tmp_path / "engine.log") in caught.value.message


def test_a_command_that_works_shows_nothing_of_its_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    took_s = follow(errand("print('noise')"), log=tmp_path / "log", env=os.environ)
    assert took_s > 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "log").read_text(encoding="utf-8") == "noise\n"


@pytest.mark.parametrize(
    ("output", "share"),
    [
        (b"Running command Building wheel\n", None),
        (b"[1/4] Building CXX object a.o\n  [2/4] Building CXX object b.o\n", 0.5),
        (b"x = a[1/2]\n", None),
        (b"[0/0] nothing\n", None),
    ],
)
def test_ninja_says_how_far_it_is(output: bytes, share: float | None) -> None:
    assert share_done(output) == share


@pytest.mark.parametrize(
    ("duration_s", "said"),
    [(0.44, "0.4 s"), (12.3, "12 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s")],
)
def test_durations_are_said_as_people_say_them(duration_s: float, said: str) -> None:
    assert seconds(duration_s) == said


def test_a_part_is_whole_only_between_its_stamp_and_the_next_change(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    environment.stamp("packages", "digest")
    environment.stamp("engine", "build")
    assert environment.stamp_of("packages") == "digest"
    environment.unstamp("packages")
    assert environment.stamp_of("packages") is None
    assert environment.stamp_of("engine") == "build"


def test_an_environment_without_its_python_has_nothing_whole(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.folder.mkdir()
    environment.stamp("packages", "digest")
    assert environment.stamp_of("packages") is None


def test_an_environment_that_a_setup_began_is_not_mistaken_for_one_made_by_hand(
    tmp_path: Path,
) -> None:
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)
    environment.python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    environment.python.chmod(0o700)
    assert not environment.is_adoptable(), "it does not work"
    environment.python.write_text("#!/bin/sh\n", encoding="utf-8")
    assert environment.is_adoptable()
    environment.stamp("environment", "made elsewhere")
    environment.unstamp("environment")
    assert not environment.is_adoptable()


def test_half_a_stamp_file_means_to_do_it_all_again(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    environment.python.parent.mkdir(parents=True)
    environment.python.touch()
    environment.stamp("packages", "digest")
    (file,) = environment.folder.glob("*.json")
    file.write_text('{"packages": "dig', encoding="utf-8")
    assert environment.stamp_of("packages") is None


def test_a_machine_without_a_compiler_is_told_before_anything_is_made(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for folder in ("scripts", "requirements"):
        shutil.copytree(ROOT / folder, clone / folder)
    shutil.copytree(ROOT / "mesh" / "engine_build", clone / "mesh" / "engine_build")
    shutil.copyfile(ROOT / "mesh" / "__init__.py", clone / "mesh" / "__init__.py")
    shutil.copyfile(ROOT / "pyproject.toml", clone / "pyproject.toml")
    variables = {"PATH": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.setup", "node"],
        cwd=clone,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "no C++ compiler works here" in ran.stderr
    assert "to do:" in ran.stderr
    assert not (clone / ".venv").exists()


def test_a_machine_without_a_fitting_python_is_told_what_to_install() -> None:
    ran = subprocess.run(
        ["/bin/sh", "scripts/find-python"],
        cwd=ROOT,
        env={"PATH": os.defpath, "PYTHON": "/no/python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "Python 3.11 or newer" in ran.stderr
