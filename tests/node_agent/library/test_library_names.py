"""What a model may be called."""

from hypothesis import given
from hypothesis import strategies as st

from node_agent.library.names import NAME_LETTERS_MAX, NAMES_MAX, model_names, slug

SHA256 = "0123456789abcdef" * 4
ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates as well


def names(own_name: str = "", *aliases: str, known_as: tuple[str, ...] = ()) -> tuple[str, ...]:
    return model_names(known_as=known_as, own_name=own_name, aliases=aliases, sha256=SHA256)


def test_a_model_is_called_by_its_own_name_and_its_files() -> None:
    assert names("Qwen2.5 0.5B Instruct", "Qwen2.5-0.5B-Instruct-Q8_0") == (
        "qwen2.5-0.5b-instruct",
        "Qwen2.5-0.5B-Instruct-Q8_0",
    )


def test_a_name_that_its_source_knows_comes_first() -> None:
    assert names("Qwen3", "blob", known_as=("qwen3:8b",)) == ("qwen3:8b", "qwen3", "blob")


def test_equal_names_are_given_once() -> None:
    assert names("tiny", "tiny", "Tiny") == ("tiny", "Tiny")


def test_a_slug_keeps_what_tells_models_apart() -> None:
    assert slug("  Meta-Llama/Llama_3.1 -- 8B (Instruct)  ") == "meta-llama-llama-3.1-8b-instruct"
    assert slug("通义千问 7B") == "通义千问-7b"
    assert slug("../..") == ""


def test_no_file_captures_the_requests_of_others_by_its_name() -> None:
    assert names("auto", "AUTO", "Cloud", "0123456789abcdef-none", "0123456789ABCDEF-01234567") == (
        "model-01234567",
    )


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert names("", "mode\u0300le") == ("modèle",)


@given(ANY_TEXT, st.lists(ANY_TEXT, max_size=20), st.lists(ANY_TEXT, max_size=3))
def test_names_are_always_some_and_safe_to_print_and_send(
    own_name: str, aliases: list[str], known_as: list[str]
) -> None:
    given_names = names(own_name, *aliases, known_as=tuple(known_as))
    assert 1 <= len(given_names) <= NAMES_MAX
    assert len(set(given_names)) == len(given_names)
    for name in given_names:
        assert name.isprintable()
        assert name == name.strip() != ""
        assert len(name) <= NAME_LETTERS_MAX
        name.encode()
