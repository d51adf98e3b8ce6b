"""The small form of the benchmark of pulls: all bytes come, and memory does not grow."""

from bench.pull import pulled


def test_memory_stays_flat_while_bytes_stream() -> None:
    figures = pulled(120_000_000)
    growth_mb, rate = figures["rss_growth_mb"], figures["mb_per_s"]
    assert growth_mb is not None
    assert growth_mb < 20, "some blocks, not the file"
    assert rate is not None
    assert rate > 1
