"""What each check makes of what it saw."""

import pytest

from mesh.doctor.computing import judge_compiler, judge_engine, judge_gpus
from mesh.doctor.finding import Finding, Verdict
from mesh.doctor.machine import judge_disk, judge_memory, judge_python
from mesh.doctor.models import ModelsFound, judge_models
from mesh.doctor.network import Answered, Heard, judge_coordinator, judge_multicast
from mesh.doctor.ports import PortState, judge_ports
from mesh.gpus.gpu import Gpu, Vendor
from mesh.installed_engine import EngineDevice, InstalledEngine

OK, WARNING, FAILED = Verdict.OK, Verdict.WARNING, Verdict.FAILED
GIB = 1 << 30
CARD = Gpu(Vendor.NVIDIA, "NVIDIA RTX 3060", 12 * GIB)


def device(name: str, kind: str) -> EngineDevice:
    return EngineDevice(name=name, description=name, kind=kind, memory_bytes=1, free_bytes=1)


WORKS = InstalledEngine(version="0.3.36", devices=(device("CPU", "cpu"),))
WITH_CUDA = InstalledEngine(version="0.3.36", devices=(device("CUDA0", "gpu"),))
BROKEN = InstalledEngine(error="OSError: libcudart.so.12: cannot open shared object file")
NONE = InstalledEngine(missing=True, error="llama-cpp-python is not installed")

NOWHERE = Answered(("10.0.0.5:7443",), "", ("10.0.0.5:7443 (connection refused)",))
FAR = Answered(("10.0.0.5:7443",), "10.0.0.5:7443")
NEAR = Answered(("127.0.0.1:7443",), "127.0.0.1:7443")
SILENT = Heard((), coordinator=False)
OFFICE = Heard(("office",), coordinator=True)
DENIED = Heard((), coordinator=False, trouble="no multicast on en0: No route", hint="allow it")


def says(finding: Finding, verdict: Verdict, *words: str) -> None:
    assert finding.verdict is verdict
    assert all(word in f"{finding.what}; {finding.mend}" for word in words), finding
    assert bool(finding.mend) is (verdict is not OK), "what is wrong has a way to mend it"


def test_a_python_is_old_new_or_right() -> None:
    says(judge_python((3, 10), "3.10.1"), FAILED, "too old")
    says(judge_python((3, 12), "3.12.1"), OK)
    says(judge_python((3, 15), "3.15.0"), WARNING, "newer")


def test_room_is_enough_for_nothing_for_what_runs_or_for_models() -> None:
    says(judge_disk(10 << 20), FAILED, "ledger")
    says(judge_disk(2 * GIB), WARNING, "model")
    says(judge_disk(50 * GIB), OK)
    says(judge_memory(GIB, 16 * GIB), WARNING, "small models")
    says(judge_memory(8 * GIB, 16 * GIB), OK)


def test_an_engine_is_missed_only_where_the_machine_lends() -> None:
    says(judge_engine(WORKS, lends=True), OK, "0.3.36", "CPU")
    says(judge_engine(NONE, lends=False), OK, "none needed")
    says(judge_engine(NONE, lends=True), FAILED, "pip install 'deskmesh[node]'")
    says(judge_engine(BROKEN, lends=False), FAILED, "libcudart", "deskmesh engine install")


def test_a_gpu_is_used_idle_or_out_of_reach() -> None:
    says(judge_gpus((CARD,), WITH_CUDA), OK, "CUDA0")
    says(judge_gpus((CARD,), WORKS), WARNING, "RTX 3060", "deskmesh engine install --cuda")
    lost = Gpu(Vendor.NVIDIA, "NVIDIA GPU 0x2684", ready=False)
    says(judge_gpus((lost,), WORKS), WARNING, "driver")
    says(judge_gpus((), WORKS), OK, "none found")
    says(judge_gpus((Gpu(Vendor.INTEL, "Intel GPU", integrated=True),), WORKS), OK, "processor")


def test_a_compiler_is_missed_only_where_an_engine_must_be_built() -> None:
    says(judge_compiler("/usr/bin/c++", NONE, platform="linux"), OK)
    says(judge_compiler(None, WORKS, platform="linux"), OK)
    says(judge_compiler(None, NONE, platform="linux"), WARNING, "apt install g++")
    says(judge_compiler(None, NONE, platform="darwin"), WARNING, "xcode-select")
    says(judge_compiler(None, NONE, platform="win32"), WARNING, "winget")


def test_models_are_there_missing_or_in_trouble() -> None:
    says(judge_models(ModelsFound(files=2, folders=("~/models",)), lends=True), OK, "2 model files")
    says(judge_models(ModelsFound(files=0), lends=False), OK, "0 model files")
    says(judge_models(ModelsFound(files=0), lends=True), WARNING, "models add")
    broken = ModelsFound(files=1, problems=("a.gguf: not readable",), problems_count=3)
    says(judge_models(broken, lends=True), WARNING, "3 with a problem", "a.gguf: not readable")


@pytest.mark.parametrize(
    ("taken", "ours", "verdict"),
    [(False, False, OK), (True, True, OK), (True, False, FAILED)],
)
def test_a_port_is_free_ours_or_somebody_elses(taken: bool, ours: bool, verdict: Verdict) -> None:
    state = PortState("http", 7480, taken=taken, ours=ours)
    says(judge_ports([state]), verdict, *(("ports.http",) if verdict is FAILED else ("7480",)))


def test_a_coordinator_is_found_by_one_way_or_by_none() -> None:
    says(judge_coordinator(FAR, SILENT, multicast=True), OK, "10.0.0.5:7443")
    says(judge_coordinator(NOWHERE, OFFICE, multicast=True), OK, "mDNS")
    says(judge_coordinator(NOWHERE, SILENT, multicast=True), FAILED, "connection refused")
    says(judge_coordinator(NOWHERE, None, multicast=False), FAILED, "discovery.seeds")
    says(judge_coordinator(Answered((), ""), SILENT, multicast=True), FAILED, "--address")


def test_silence_is_a_fault_only_where_somebody_must_have_spoken() -> None:
    says(judge_multicast(None, FAR), OK, "off")
    says(judge_multicast(OFFICE, FAR), OK, "office")
    says(judge_multicast(SILENT, None), OK, "nobody")
    says(judge_multicast(SILENT, NOWHERE), OK, "nobody")
    says(judge_multicast(SILENT, FAR), WARNING, "isolation", "10.0.0.5:7443 in discovery.seeds")
    says(judge_multicast(SILENT, NEAR), WARNING, "UDP port 5353")
    says(judge_multicast(DENIED, FAR), WARNING, "No route", "allow it")
    says(judge_multicast(Heard(("desk-2",), coordinator=False), FAR), WARNING, "isolation")
