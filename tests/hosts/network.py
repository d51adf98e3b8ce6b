"""Whether this machine lets tests make hosts."""

import pytest

from scripts.network import why_not

needs_network = pytest.mark.skipif(bool(why_not()), reason=why_not())
