"""A worker as in a container: as nobody, on a read-only root, without capabilities."""

from __future__ import annotations

import json
import sys

import pytest

from tests.support.processes.nobody import NOBODY, run_as_nobody, why_not
from tests.support.servers.fake_hub import fake_hub


@pytest.fixture(autouse=True)
def possible() -> None:
    """Becoming nobody takes root and Linux."""
    if reason := why_not():
        pytest.skip(f"cannot run as nobody here: {reason}")


_LOOK = """
import json, os
written = []
for place in ("/", "/etc", "/var/tmp", "/tmp"):
    try:
        open(os.path.join(place, "x"), "w").close()
        written.append(place)
    except OSError:
        pass
status = open("/proc/self/status").read().splitlines()
caps = {line.split()[1] for line in status if line.startswith("Cap")}
print(json.dumps([os.getuid(), written, sorted(caps)]))
"""

_HOLD = """
from consumer.contracts.errors import KafkaProblem
from consumer.kafka.sink.instance import Instance
from consumer.settings.schema import Settings
try:
    Instance(Settings())
except KafkaProblem as problem:
    print(problem)
"""


def test_nobody_can_do_nothing_there() -> None:
    """Else the tests below would say nothing."""
    done = run_as_nobody([sys.executable, "-c", _LOOK], {})
    assert json.loads(done.stdout) == [NOBODY, ["/tmp"], ["0000000000000000"]]


def test_articles_go_their_whole_way() -> None:
    done = run_as_nobody([sys.executable, "-m", "consumer", "demo", "--json", "--rate", "0"], {})
    assert done.returncode == 0, done.stderr
    # Three of the samples are bad on purpose.
    assert all(line.startswith("rejected (") for line in done.stderr.splitlines())
    tagged = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(tagged) > 10
    assert all(article["entities"] is not None for article in tagged)


def test_a_place_that_cannot_be_written_is_named() -> None:
    done = run_as_nobody([sys.executable, "-c", _HOLD], {}, tmp_mode="0755")
    assert "No usable temporary directory found in ['/tmp'," in done.stdout
    assert "set instance to a name of its own, or TMPDIR" in done.stdout


def test_a_download_without_a_place_is_told_so() -> None:
    with fake_hub() as address:
        variables = {"HF_HOME": "/var/cache/hub", "HF_ENDPOINT": address}
        find = "from consumer.tagging.model.folder import find_model_folder as find\n"
        find += "try: find('some/tagger', '')\nexcept Exception as error: print(error)"
        done = run_as_nobody([sys.executable, "-c", find], variables)
    assert done.stdout.startswith("model some/tagger: the download cannot be kept at /var/cache")
    assert "set HF_HOME to a folder that the worker may write" in done.stdout
