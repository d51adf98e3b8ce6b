"""A download into a log or a pipe."""

import pytest

from mesh.cli.download_shown import LINE_EVERY_S, RATE_OVER_S, Lines


def test_no_line_is_told_without_a_speed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    lines = Lines("m")
    told: list[str] = []
    monkeypatch.setattr(lines, "said", told.append)
    now_s += LINE_EVERY_S  # the host took so long to answer
    lines.progressed(1000, 1_000_000)
    assert not told
    while now_s < 100.0 + 3 * RATE_OVER_S:
        now_s += LINE_EVERY_S
        lines.progressed(int(now_s * 1000), 1_000_000)
    assert len(told) == 8
    assert not any(", 0.0 B/s" in each for each in told)
