"""The commands of a page of docs, run as they stand there, in a place that stands in for its own.

A page's `console` block has commands, each after `$ `, and under a command lines of what it says,
with `...` for what differs. Every such line must be found in what the command writes; `(no answer)`
is one that writes nothing; a command without any line must exit with 0.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.integration.servers.kafka_server import KAFKA_DIR, ROOT, archived
from tests.integration.servers.prometheus_server import PROMETHEUS_DIR

#: Kafka's scripts, and the class that each of them starts.
KAFKA_SCRIPTS = {
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-transactions.sh": "org.apache.kafka.tools.TransactionsCommand",
}

_JVM = (
    "-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    " -Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
)

#: `nerstream`, but for the model: a worker has the light tagger, which tags at once.
_PROGRAM = f"""#!/bin/bash
if [[ $1 == run ]]; then
    exec {sys.executable} -m tests.faults.workers.light_worker "${{@:2}}"
fi
exec {sys.executable} -m consumer "$@"
"""

NO_ANSWER = "(no answer)"

#: Longest wait for a command; generous, since machines are slow at times.
_PATIENCE_S = 180


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page, and the lines that it says there."""

    line: str
    says: tuple[str, ...] = ()


def commands(page: str, section: str = "") -> Iterator[Command]:
    """Those of a page's text, or of the part of it under a heading that begins so."""
    if section:
        parts = re.split(r"^## ", page, flags=re.MULTILINE)
        page = next((part for part in parts if part.startswith(section)), "")
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for one in re.split(r"^ *\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
            line, *says = one.splitlines()
            yield Command(re.sub(r"\s+", " ", line), tuple(said for said in says if said.strip()))


def missing_tools() -> str:
    """Why Kafka's scripts cannot be stood in for; empty where they can."""
    if list((KAFKA_DIR / "libs").glob("kafka-tools-[0-9]*.jar")):
        return ""
    return "Apache Kafka's command line tools are not installed; run `make kafka`"


def says(output: str, wanted: str) -> bool:
    """Whether a line of the output is the wanted one, `...` standing for anything."""
    if wanted.strip() == NO_ANSWER:
        return not output.strip()
    pattern = r".*".join(re.escape(part.strip()) for part in wanted.split("..."))
    words = re.sub(r"(\\\s)+", r"\\s+", pattern)
    return re.search(words, re.sub(r"\s+", " ", output)) is not None


class Place:
    """A folder in which the commands of a page can be given.

    Args:
        folder: where they run; a `worker.toml` may lie there.
        stands_for: what a page writes, and what it is here; whole words.
    """

    def __init__(self, folder: Path, stands_for: Mapping[str, str]) -> None:
        self._folder = folder
        self._here = dict(stands_for)
        self._bin = folder / "bin"
        self._bin.mkdir(exist_ok=True)
        for name, starts in KAFKA_SCRIPTS.items():
            script = self._bin / name
            script.write_text(
                f"#!/bin/bash\nexec java {' '.join(archived())} {_JVM}"
                f" -cp '{KAFKA_DIR}/libs/*' {starts} \"$@\"\n"
            )
            script.chmod(0o755)
        (folder / "deploy").symlink_to(ROOT / "deploy")
        environment = folder / ".venv" / "bin"
        environment.mkdir(parents=True, exist_ok=True)
        program = environment / "nerstream"
        if not program.exists():
            program.write_text(_PROGRAM)
            program.chmod(0o755)

    def has(self, word: str, here: str) -> None:
        """One more word of pages, and what it is here."""
        self._here[word] = here

    def run(self, command: Command) -> str:
        """What is wrong with the command or with what it said; empty where nothing is."""
        done = subprocess.run(
            ["bash", "-c", _replaced(command.line, self._here)],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PATIENCE_S,
            check=False,
            env={
                **os.environ,
                "PATH": f"{self._bin}:{PROMETHEUS_DIR}/root/usr/bin:{os.environ['PATH']}",
                # A command's tables are as wide as on a wide terminal.
                "COLUMNS": "200",
                "PYTHONPATH": str(ROOT),
                "HF_HUB_OFFLINE": "1",
            },
        )
        output = _replaced(
            done.stdout.decode(errors="replace"),
            {here: there for there, here in self._here.items()},
        )
        missing = [said for said in command.says if not says(output, said)]
        if missing:
            return f"$ {command.line}\n{output}\ndoes not say\n" + "\n".join(missing)
        if not command.says and done.returncode != 0:
            return f"$ {command.line}\nended with {done.returncode}:\n{output}"
        return ""


def _replaced(text: str, by: Mapping[str, str]) -> str:
    """`text` with whole words replaced, longer ones first, each once."""
    if not by:
        return text
    longest = sorted(by, key=len, reverse=True)
    pattern = r"(?<![\w-])(" + "|".join(map(re.escape, longest)) + r")(?![\w-])"
    return re.sub(pattern, lambda found: by[found[1]], text)
