"""What the reader of model files makes of those that lie: a reason, or a description."""

from pathlib import Path

import pytest

from node_agent.library.describe import describe
from tests.node_agent.engine.gguf_files import RandomModel
from tests.node_agent.engine.lying_files import LIES
from tests.node_agent.library.test_library_describe import checked

# Only an engine can tell, which looks at tensors and not at the header alone.
FOR_THE_ENGINE = frozenset(
    {
        *("no heads", "more heads than width", "no heads for keys", "no layers"),
        *("one layer too many", "no width", "vast rope", "end that is no token"),
        *("tensor of no rows", "tensor of another shape", "tensor that begins askew"),
    }
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return RandomModel().write(tmp_path_factory.mktemp("whole") / "whole.gguf").read_bytes()


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_in_the_header_is_broken_and_says_why(lie: str, whole: bytes, tmp_path: Path) -> None:
    file = tmp_path / "lie.gguf"
    file.write_bytes(LIES[lie](whole))
    line = checked(describe([file], lambda _: None))
    if lie in FOR_THE_ENGINE:
        assert line.description is not None
        return
    assert line.rejection is not None
    assert line.rejection.fault == "broken"
    assert line.rejection.reason.isprintable()
