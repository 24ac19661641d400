"""The rules of deploy/, with the time in them shortened, so that a test need not wait for hours."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from tests.support.monitoring.files import PROMETHEUS, RULE_FILES

#: Every `for`, every range in brackets with its step, and every `offset` is divided by this.
WINDOWS = 30
#: Every bound of an age that a worker tells in seconds is divided by this: it is held against real
#: time, in which a busy machine may well stand still for a second or two.
AGES = 6

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = r"(\d+)([smhd])\b"
_RANGE = re.compile(rf"(\[){_DURATION}(?=[:\]])")
_STEP = re.compile(rf"(\[\w+:){_DURATION}(?=\])")
_OFFSET = re.compile(rf"(\boffset\s+){_DURATION}")
_FOR = re.compile(rf"^(\s*for:\s*){_DURATION}", re.MULTILINE)
_AGE = re.compile(r"(seconds_since_progress\)?\s*[<>]=?\s*(?:bool\s+)?)(\d+)\b()")


def shortened(rules: str) -> str:
    """The same file, its expressions as they were but for these times."""
    for pattern in (_RANGE, _STEP, _OFFSET, _FOR):
        rules = pattern.sub(partial(_divided, by=WINDOWS), rules)
    return _AGE.sub(partial(_divided, by=AGES), rules)


def shortened_rules(folder: Path = PROMETHEUS) -> dict[str, str]:
    """Every file of rules, by name."""
    return {name: shortened((folder / name).read_text(encoding="utf-8")) for name in RULE_FILES}


def _divided(found: re.Match[str], by: int) -> str:
    before, count, unit = found[1], int(found[2]), found[3]
    seconds, left = divmod(count * _SECONDS.get(unit, 1), by)
    assert left == 0, f"{found[0]} is no whole number of seconds in a {by}th of the time"
    return f"{before}{seconds}{'s' if unit else ''}"
