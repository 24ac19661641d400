"""Text that would forge a line or move a terminal, and a search for what is left of it."""

from __future__ import annotations

import re
import unicodedata

#: What a line of a log or a table would begin with, if it could be forged.
FORGED = "06:00 [error] FORGED"

#: Each way to begin a line, to command a terminal, to hide or to turn round. None of it is taken by
#: a file's name, a setting or an argument as anything else than text, but for NUL (`WITH_NUL`).
PLANT = (
    f"a\n{FORGED}\r{FORGED}\x0b{FORGED}\x0c{FORGED}\x85{FORGED}\u2028{FORGED}\u2029{FORGED}"
    "\x1b[38;5;201mred\x1b[2J\x1b]0;title\x07\x9b31m\x08\x7f\u202egpj\u2066\u200b\ufeff\U000e0041\ue000"
    "[bold]markup[/bold][/] :smile: z"
)
WITH_NUL = f"{PLANT}\x00z"

#: As much of it as a file may be named.
AS_NAME = PLANT.replace("/", "")

#: Colours and weights, which rich writes; the plant's pink is none of ours.
_OURS = re.compile(r"\x1b\[(?!38;5;201m)[0-9;]*m")

#: Where a line ends, for this terminal or that reader of logs.
_LINE_ENDS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")

_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def harm_in(output: str | bytes, *, styled: bool = False) -> list[str]:
    """What in an output could do something; empty where all is well.

    Args:
        styled: whether it may hold colours.
    """
    text = output.decode("utf-8", "surrogateescape") if isinstance(output, bytes) else output
    if styled:
        text = _OURS.sub("", text).replace("\r\n", "\n")
    found = sorted(
        {
            f"U+{ord(one):04X}"
            for one in text
            if one not in "\n\t" and unicodedata.category(one) in _HARMFUL
        }
    )
    forged = [line for line in _LINE_ENDS.split(text) if line.startswith(FORGED)]
    return found + forged
