"""Which models an operator means by a text."""

import pytest

from mesh.core.catalogue import ENTRIES_KEPT_MAX
from mesh.core.model_choice import Models
from mesh.core.types import CloudModel
from tests.mesh.core.entries import CATALOGUE, CODER, ENTRIES, NAMES

SMALL, CODER_NAME, LLAMA, LARGE, MINI, GPT = NAMES


def meant(*texts: str, domain: str = "") -> list[str]:
    return [entry.name for entry in Models(texts).of(ENTRIES, domain)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("any", NAMES),
        ("local", (SMALL, CODER_NAME, LLAMA, LARGE)),
        ("cloud", (MINI, GPT)),
        ("Cloud", (MINI, GPT)),
        ("coder", (CODER_NAME,)),
        ("QWEN2.5-CODER-7B", (CODER_NAME,)),
        (CODER.model_id, (CODER_NAME,)),
        ("cloud:gpt-4o", (GPT,)),
        ("qwen*", (SMALL, CODER_NAME, LARGE)),
        ("gpt-4?", (GPT,)),
        ("*-mini", (MINI,)),
        ("family:qwen", (SMALL, CODER_NAME, LARGE)),
        ("family: qwen", (SMALL, CODER_NAME, LARGE)),
        ("domain:code", (CODER_NAME,)),
        ("domain:law", ()),
        ("size<=7b", (SMALL, CODER_NAME)),
        ("size<7B", (SMALL,)),
        ("size > 7b", (LLAMA, LARGE)),
        ("size>=14000m", (LARGE,)),
        ("family:qwen and size<=7b", (SMALL, CODER_NAME)),
        ("cloud and *-mini", (MINI,)),
        ("nobody-has-this", ()),
    ],
)
def test_a_text_means_models(text: str, names: tuple[str, ...]) -> None:
    assert tuple(meant(text)) == names


def test_several_texts_mean_all_of_theirs_in_their_order() -> None:
    assert meant("cloud", "coder", "qwen*") == [MINI, GPT, CODER_NAME, SMALL, LARGE]


def test_specialists_are_those_of_the_requests_own_domain() -> None:
    assert meant("specialists", domain="code") == [CODER_NAME]
    assert meant("specialists", domain="law") == []
    assert meant("specialists") == []


def test_one_choice_serves_requests_of_any_domain() -> None:
    specialists = Models(("specialists",))
    coder = ENTRIES[1]
    assert [specialists.has(coder, domain) for domain in ("code", "law", "code")] == [
        True,
        False,
        True,
    ]


def test_a_model_whose_size_nobody_tells_is_of_no_size() -> None:
    assert GPT not in meant("size>0b")
    assert GPT not in meant("size<=99999b")


@pytest.mark.parametrize(
    "text", ["", "  ", "size<=", "size<=8x", "size=8b", "family:", "domain: ", "a\nb", "x" * 257]
)
def test_a_text_that_means_nothing_is_refused_with_what_would(text: str) -> None:
    with pytest.raises(ValueError, match="means no model: use a name, a pattern"):
        Models((text,))


def test_what_was_found_out_of_models_that_have_gone_is_let_go() -> None:
    models = Models(("cloud",))
    for number in range(ENTRIES_KEPT_MAX + 2):
        assert models.has(CATALOGUE.entry(CloudModel(f"m{number}", "u")), "")
    assert len(models._known) <= ENTRIES_KEPT_MAX
