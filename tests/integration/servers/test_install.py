"""The servers' `install.sh`, where they cannot be had."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPTS = {name: Path(__file__).parents[1] / name / "install.sh" for name in ("kafka", "registry")}

#: What the script calls beside Java and Maven.
TOOLS = (
    "bash",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "dirname",
    "head",
    "ls",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "touch",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: the tools, and neither Java nor Maven."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    return folder


def put(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture(params=SCRIPTS)
def script(request: pytest.FixtureRequest) -> Path:
    return SCRIPTS[request.param]


def install(
    script: Path, path: Path, to: Path, *options: str, ci: str = ""
) -> subprocess.CompletedProcess[str]:
    bash = shutil.which("bash")
    assert bash is not None
    environment = {"PATH": str(path), "CI": ci, "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    return subprocess.run(
        [bash, str(script), str(to), *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


JAVA_17 = "echo 'openjdk version \"17.0.9\" 2023-10-17' >&2"
#: What Maven does, as far as the script looks.
BRINGS_A_JAR = """for option; do
    case $option in -DoutputDirectory=*) to=${option#*=}; mkdir -p "$to"; touch "$to/a.jar";; esac
done"""
JAVA_8 = "echo 'openjdk version \"1.8.0_392\"' >&2"


@pytest.mark.parametrize(
    ("java", "maven", "reason"),
    [
        (None, None, "java is missing"),
        (JAVA_8, None, "java is version 1; 17 or newer is needed"),
        (JAVA_17, None, "mvn is missing"),
        (JAVA_17, "echo no route to host; exit 1", "Maven could not fetch the artefacts"),
        (JAVA_17, "exit 0", "Maven brought no jars"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    script: Path, path: Path, tmp_path: Path, java: str | None, maven: str | None, reason: str
) -> None:
    for name, text in (("java", java), ("mvn", maven)):
        if text is not None:
            put(path, name, text)
    to = tmp_path / "server"

    may_skip = install(script, path, to, "--if-possible")
    assert may_skip.returncode == 0
    assert reason in may_skip.stderr.splitlines()[-1]
    assert "will skip" in may_skip.stderr
    for refused in (
        install(script, path, to),
        install(script, path, to, "--if-possible", ci="true"),
    ):
        assert refused.returncode == 1
        assert reason in refused.stderr.splitlines()[-1]
    assert not (to / ".installed").exists()


def test_it_installs_once(script: Path, path: Path, tmp_path: Path) -> None:
    put(path, "java", JAVA_17)
    called = tmp_path / "called"
    put(path, "mvn", f"echo called >> {called}\n{BRINGS_A_JAR}")
    to = tmp_path / "server"
    for _ in range(3):
        assert install(script, path, to, "--if-possible").returncode == 0
    assert called.read_text() == "called\n"
    # Another pin installs anew.
    (to / ".installed").write_text("an older pom")
    assert install(script, path, to).returncode == 0
    assert called.read_text() == "called\ncalled\n"


PROMETHEUS = Path(__file__).parents[1] / "prometheus" / "install.sh"

#: What `apt-get download` and `dpkg -x` do, as far as the script looks.
FETCHES = 'case " $* " in *" download "*) touch prometheus_1.deb; echo fetched >> "$FETCHED";; esac'
UNPACKS = """mkdir -p "$3/usr/bin"
printf '#!/bin/bash\n' > "$3/usr/bin/promtool"; chmod +x "$3/usr/bin/promtool"
"""


@pytest.mark.parametrize(
    ("apt_get", "reason"),
    [
        (None, "apt-get is missing; it takes the package from Debian or Ubuntu"),
        ("echo no route to host >&2; exit 100", "could not fetch the package prometheus"),
    ],
)
def test_a_missing_prometheus_is_said_in_one_line(
    path: Path, tmp_path: Path, apt_get: str | None, reason: str
) -> None:
    put(path, "dpkg", UNPACKS)
    if apt_get is not None:
        put(path, "apt-get", apt_get)
    to = tmp_path / "server"
    may_skip = install(PROMETHEUS, path, to, "--if-possible")
    assert may_skip.returncode == 0
    assert reason in may_skip.stderr.splitlines()[-1]
    assert "will skip" in may_skip.stderr
    for refused in (
        install(PROMETHEUS, path, to),
        install(PROMETHEUS, path, to, "--if-possible", ci="true"),
    ):
        assert refused.returncode == 1
        assert reason in refused.stderr.splitlines()[-1]
    assert not (to / ".installed").exists()


def test_prometheus_is_unpacked_once(path: Path, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    put(path, "apt-get", f"FETCHED={fetched}\n{FETCHES}")
    put(path, "dpkg", UNPACKS)
    to = tmp_path / "server"
    for _ in range(3):
        done = install(PROMETHEUS, path, to, "--if-possible")
        assert done.returncode == 0, done.stderr
    assert fetched.read_text() == "fetched\n"
    assert [one.name for one in to.iterdir() if one.name == "apt"] == []


def test_lists_of_packages_are_renewed_where_they_do_not_know_it(
    path: Path, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    put(
        path,
        "apt-get",
        f"""echo "$*" >> {asked}
[[ " $* " == *" update "* ]] && touch {tmp_path}/renewed
if [[ " $* " == *" download "* ]]; then
    [[ -f {tmp_path}/renewed ]] || exit 100
    touch prometheus_1.deb
fi""",
    )
    put(path, "dpkg", UNPACKS)
    assert install(PROMETHEUS, path, tmp_path / "server").returncode == 0
    first, update, second = asked.read_text().splitlines()
    assert "download prometheus" in first
    assert "Dir::State::lists" not in first
    assert "Dir::State::lists" in update
    assert "Dir::State::lists" in second


def test_an_unknown_option_is_refused(script: Path, path: Path, tmp_path: Path) -> None:
    assert install(script, path, tmp_path, "--perhaps").returncode == 2
    assert install(PROMETHEUS, path, tmp_path, "--perhaps").returncode == 2
