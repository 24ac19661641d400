"""ArgumentParser: argparse's, whose errors hold what a person typed and stay one line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from consumer.contracts.safe_text import safe


class ArgumentParser(argparse.ArgumentParser):
    """Takes no abbreviations, writes no colours, and makes parsers of its own kind for commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        self.color = False  # Python 3.14 writes some, which would come out as escapes

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))
