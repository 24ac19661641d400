"""The colour of an entity type."""

from __future__ import annotations

from consumer.contracts.type_colors import TypeColor, color_of


def test_the_four_types_of_conll_have_each_their_own() -> None:
    colors = [color_of(name) for name in ("PER", "ORG", "LOC", "MISC")]
    assert colors == [TypeColor.CYAN, TypeColor.YELLOW, TypeColor.GREEN, TypeColor.MAGENTA]


def test_any_other_has_one_that_stays() -> None:
    others = {color_of(name) for name in ("DRUG", "GENE", "DATE", "EVENT", "\ud800", "")}
    assert others <= {TypeColor.BLUE, TypeColor.SILVER, TypeColor.FOREST}
    assert color_of("DRUG") is color_of("DRUG")
