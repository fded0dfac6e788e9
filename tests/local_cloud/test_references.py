"""References are read and resolved as the definition language has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_language.definition import DefinitionError
from pipeline_language.references import Unresolved, as_text, follow, split

KEYS = st.text(st.characters(exclude_characters="'", exclude_categories=["Cs"]))
PATHS = st.lists(st.one_of(KEYS, st.integers(0, 20)), min_size=1, max_size=6)


@given(PATHS)
def test_a_path_in_brackets_reads_back(parts: list[str | int]) -> None:
    assert split("".join(f"[{part}]" if isinstance(part, int) else f"['{part}']" for part in parts)) == tuple(parts)


@given(PATHS, st.integers())
def test_what_was_put_at_a_path_is_found_there(parts: list[str | int], value: int) -> None:
    document: object = value
    for part in reversed(parts):
        document = [None] * part + [document] if isinstance(part, int) else {part: document}
    assert follow(document, tuple(parts), "it") == value


@pytest.mark.parametrize("text", ["", ".", "A..B", "A.", "A['b'", "A b", "A[-1]"])
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError):
        split(text)


def test_an_element_is_found_by_its_own_name_and_not_by_others_it_holds() -> None:
    variants = [{"ModelName": "b", "VariantName": "a"}, {"ModelName": "c", "VariantName": "b"}]
    assert follow(variants, ("b", "ModelName"), "it") == "c"


def test_an_element_of_an_unknown_list_is_found_by_its_only_name() -> None:
    assert follow([{"ThingName": "a", "Size": 1}], ("a", "Size"), "it") == 1


@pytest.mark.parametrize(("document", "part"), [
    ({"a": 1}, "b"), ([1], 1), (["text"], "text"), ("text", 0), (None, "a"), ([{"AName": "x", "BName": "y"}], "x"),
])  # fmt: skip
def test_a_missing_part_is_named(document: object, part: str | int) -> None:
    with pytest.raises(Unresolved, match=f"'x' has no value: '{part}' is missing"):
        follow(document, (part,), "x")


@pytest.mark.parametrize(("value", "text"), [
    (True, "true"), (1, "1"), (0.5, "0.5"), ("a", "a"), (["a"], '["a"]'), (None, "null"),
])  # fmt: skip
def test_values_stand_in_text_as_in_json(value: object, text: str) -> None:
    assert as_text(value) == text
