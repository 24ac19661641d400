"""The commands of the page on mending, run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from consumer import cli
from consumer.contracts.choices import RejectCode
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.support.memory import letters

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "mend.md"


def commands() -> list[str]:
    """Each command on dead letters, without the program's name."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    found = re.findall(
        r"^\$ \.venv/bin/nerstream (dead-letters .*)$", "".join(blocks), re.MULTILINE
    )
    assert len(found) >= 6
    return found


def test_each_command_does_what_the_page_says(
    kafka: str,
    topics: TopicFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    articles, dead, mended = topics("articles", 2), topics("dead"), topics("mended")
    for number in range(8):
        raw = letters.original(number, topic=articles, partition=number % 2)
        code = RejectCode.NO_TEXT if number % 2 else RejectCode.INVALID_JSON
        written = letters.letter(raw, code=code, to=dead)
        helpers.produce(kafka, dead, [letters.record(written)])
    (tmp_path / "worker.toml").write_text(
        f'bootstrap_servers = "{kafka}"\ninput_topics = ["{articles}"]\n'
        f'dead_letter_topic = "{dead}"\n'
    )
    monkeypatch.chdir(tmp_path)
    said = {}
    for line in commands():
        words = shlex.split(line.replace("articles-mended", mended))
        assert cli.main(words) == 0, capsys.readouterr().err
        said[line] = capsys.readouterr()
    outs = [one.out for one in said.values()]
    errs = [one.err for one in said.values()]
    assert outs[0].endswith("8 dead letters, 8 of them not sent back\n")
    assert outs[1].endswith("4 dead letters: no_text 4\n")
    assert outs[2].startswith(f"letter     {dead}/0/3\n")
    assert outs[3].endswith("4 dead letters would be sent; nothing was\n")
    assert errs[4].startswith("sent 4 dead letters in ")
    assert errs[5].startswith("sent 4 dead letters in ")
    assert [len(helpers.read_settled(kafka, topic)) for topic in (articles, mended)] == [4, 4]
