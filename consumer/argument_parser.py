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

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """argparse's, which hears here what a person gave, and not what holds without them."""
        if self._is_left_empty(action, arg_strings):
            raise argparse.ArgumentError(action, "it is empty; give a value, or leave it out")
        return super()._get_values(action, arg_strings)

    def _is_left_empty(self, action: argparse.Action, given: list[str]) -> bool:
        """Whether a flag was given with nothing, as by a variable of the shell that is not set.

        A setting's is judged with the setting's other sources. Where a text holds unless another
        one is given, empty may stand for none.
        """
        settings = self.get_default("settings_taken") or ()
        is_setting = action.dest in settings
        stands_for_none = action.type is None and isinstance(action.default, str) and action.default
        if not action.option_strings or is_setting or stands_for_none:
            return False
        return any(not one.strip() for one in given)

    def error(self, message: str) -> NoReturn:
        super().error(safe(message))
