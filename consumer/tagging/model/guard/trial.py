"""Regular expressions of a tokenizer, tried in a process that may use so much and no more.

An expression such as `(a+)+b` takes longer than the sun will burn, on thirty letters. Whether one
does cannot be read off it. So the tokenizer reads texts on which such expressions come to grief, in
a process with a limit on its processor time and memory, and is refused where that is not enough.
What gets past all of these texts would still be seen: a worker that hangs turns `/healthz` red.

`python -m consumer.tagging.model.guard.trial FILE` is that process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.checksum import sha256_of

#: Letters of the longest text that is tried, and seconds of the processor that it may take. A sound
#: tokenizer takes some hundredths.
LETTERS = 20_000
MOST_S = 0.5

#: Limits of the process: seconds of the processor, bytes of memory.
_CPU_S = 60
_MEMORY = 8 * 2**30

#: Seconds of the clock, on a machine that has far too much to do.
_PATIENCE_S = 600.0

#: What is repeated, and what ends it, so that no match is found at the last moment.
_REPEATED = ("a", "A", "0", " ", "\n", ".", "-", "'", "_", "x ", "a1", "é", "中", "👍", "ab ", "\t")
_ENDS = ("", "!", "\n", "\0", "b")

#: How many of the expressions' own letters are repeated, and how many end a text behind a gap. An
#: engine that misses a letter it needs does not even begin.
_OWN_REPEATED, _OWN_ENDS = 40, 4


#: Checksums of the tokenizers that passed. To try one takes a second or two of a core, and a
#: process that compares precisions or has many models loads the same one again and again.
_passed: set[str] = set()


def try_expressions(name: str, file: Path) -> None:
    """Refuse a tokenizer that takes too long for some text. Blocks, for a second or two; one that
    passed is not tried again in this process.

    Args:
        name: the model, for errors.
        file: its tokenizer.

    Raises:
        ModelError: see above; or the tokenizer breaks on a text, or its file cannot be read.
    """
    checksum = sha256_of(name, file)
    if checksum in _passed:
        return
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(file)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(_refused(name, file, "takes for ever to read some texts")) from error
    said = done.stdout.decode(errors="replace").splitlines()
    if done.returncode == 0 and said[-1:] == ["ok"]:
        _passed.add(checksum)
        return
    if said and said[-1].startswith("{"):
        found = json.loads(said[-1])
        if "unread" in found:
            raise ModelError(f"model {name}: {found['unread']}")
        what = f"took {found['seconds']:.1f} s of a processor for {LETTERS:,} letters"
        raise ModelError(_refused(name, file, f"{what}, such as {found['text']!r} repeated"))
    if done.returncode < 0:
        at = f" on {said[-1]} repeated" if said else " when it was read"
        raise ModelError(_refused(name, file, f"used up {_CPU_S} s of a processor{at}"))
    # What it says is of the library's making, and its last line has the reason.
    told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    reason = told[0][:200] if told else f"exit code {done.returncode}"
    raise ModelError(_refused(name, file, f"broke on a text ({reason})"))


def _refused(name: str, file: Path, what: str) -> str:
    return (
        f"model {name}: its {file.name} {what}: a regular expression in it is not fit for texts of "
        "strangers; put the tokenizer that belongs to the model beside it"
    )


def main(file: str) -> None:
    """Read all texts; say `ok`, the text that takes too long, or why the file cannot be read."""
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from tokenizers import Tokenizer

    from consumer.tagging.model.guard.unreadable import why_unreadable

    try:
        tokenizer = Tokenizer.from_file(file)
    except BaseException:
        # Of a newer form, or with an expression that is none: no text is to blame.
        if (
            why := why_unreadable(Path(file).name, json.loads(Path(file).read_text("utf-8")))
        ) is None:
            raise
        _say(json.dumps({"unread": why}))
        return
    own = _own_letters(Path(file))
    ends = [*_ENDS, *("!" + letter for letter in own[-_OWN_ENDS:])]
    for repeated in dict.fromkeys((*_REPEATED, *own[:_OWN_REPEATED])):
        # Said before, for the case that this is the last word.
        _say(json.dumps(repeated))
        for letters in (30, LETTERS):
            for end in ends:
                text = repeated * (letters // len(repeated)) + end
                began = time.process_time()
                tokenizer.encode(text, add_special_tokens=False)
                seconds = time.process_time() - began
                if seconds > MOST_S:
                    _say(json.dumps({"seconds": seconds, "text": repeated}))
                    return
    _say("ok")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _own_letters(file: Path) -> list[str]:
    """Every letter that stands in an expression itself."""
    from consumer.tagging.model.guard.tokenizer import expressions

    found = expressions(json.loads(file.read_text("utf-8")))
    return list(dict.fromkeys(letter for one in found for letter in one if letter.isalnum()))


if __name__ == "__main__":
    main(sys.argv[1])
