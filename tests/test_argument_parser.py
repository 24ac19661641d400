from __future__ import annotations

import pytest

from consumer import cli
from tests.support.planted import PLANT, harm_in


@pytest.mark.parametrize(
    "arguments",
    [
        [PLANT],
        ["tag", f"--{PLANT}"],
        ["tag", "--input-format", PLANT],
        ["bench", PLANT],
        ["bench", "worker", f"--{PLANT}"],
        ["bench", "worker", "--rounds", PLANT],
        ["dead-letters", PLANT],
        ["dead-letters", "list", f"--{PLANT}"],
        ["produce", "-", "--topic", "a", "--rate", PLANT],
        ["audit", "--from", PLANT],
        ["audit", "--max-findings", PLANT],
    ],
    ids=lambda arguments: " ".join(arguments).replace(PLANT, "PLANT"),
)
def test_a_wrong_argument_is_told_in_a_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert harm_in(out + err) == []
    assert "FORGED" in err
