"""`make check-image`: builds the Dockerfile without a container engine, and runs what comes of it.

buildah builds it, step by step as it stands. Its base is a Debian of debootstrap's with Debian's
own Python, in the place of the official one, which comes from a registry that not everybody
reaches. crun runs it: as the image's user, on a read-only root, without capabilities, with a /tmp
from which nothing can be executed; once with the filter of system calls of podman and Docker, once
with the restrictions of `deploy/systemd`. It needs root, Debian's packages buildah, crun and
debootstrap, gigabytes of disk, and a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.deploy.tools import restrictions
from tests.integration.rigs import helpers
from tests.integration.servers.kafka_server import KafkaServer
from tests.support.deploy.deploy_files import ROOT, instructions

TAG = "nerstream:checked"
_PROGRAMS = ("buildah", "crun", "debootstrap")

#: The base's users expect a `python`; Debian has a `python3`.
_BASE = """FROM scratch
ADD root.tar /
RUN ln -sf python3 /usr/bin/python
"""

#: Of this machine, so that apt and pip in the build reach what they reach here.
_OF_THE_HOST = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/apt/sources.list.d/debian.sources",
    "/etc/apt/apt.conf.d",
)

_PATIENCE_S = 600.0


class Image:
    """What buildah keeps in a folder of its own.

    Args:
        folder: where the Debian, the layers and the bundles lie; they stay there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._buildah = (
            *("buildah", "--storage-driver", "overlay"),
            *("--root", str(folder / "layers"), "--runroot", str(folder / "run")),
        )

    def buildah(self, *words: str | Path) -> str:
        """What it prints; its progress goes to standard error."""
        done = subprocess.run(
            [*self._buildah, *words], stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.strip()

    def build(self) -> None:
        """Each step of the Dockerfile, on the stand-in for its base."""
        python = dict(text.split("=", 1) for name, text in instructions() if name == "ARG")
        base = f"docker.io/library/python:{python['PYTHON']}"
        if not self.buildah("images", "--noheading", "--filter", f"reference={base}"):
            self._make_base(base)
        # Docker's format: the other has no HEALTHCHECK.
        self.buildah(
            *("build", "--isolation", "chroot", "--pull-never", "--layers", "--format", "docker"),
            *("-f", ROOT / "deploy/Dockerfile", "-t", TAG, ROOT),
        )

    def _make_base(self, name: str) -> None:
        root = self.folder / "debian"
        shutil.rmtree(root, ignore_errors=True)
        release = name.rpartition("-")[2]
        packages = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, release, root],
            stdout=sys.stderr,
            check=True,
        )
        for path in map(Path, _OF_THE_HOST):
            if path.exists():
                subprocess.run(["cp", "-a", path, root / path.relative_to("/").parent], check=True)
                (root / "etc/apt/sources.list").unlink(missing_ok=True)
        context = self.folder / "base"
        context.mkdir(exist_ok=True)
        subprocess.run(["tar", "-C", root, "-cf", context / "root.tar", "."], check=True)
        (context / "Dockerfile").write_text(_BASE)
        self.buildah("build", "--isolation", "chroot", "-t", name, context)
        shutil.rmtree(context)

    def config(self) -> dict[str, Any]:
        """What the image says of itself."""
        told = json.loads(self.buildah("inspect", "--type", "image", TAG))
        found: dict[str, Any] = told["Docker"]["config"]
        return found

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Its file system."""
        container = self.buildah("from", "--pull-never", TAG)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


class Container:
    """One run of the image by crun.

    Args:
        words: behind the entry point.
        variables: on top of the image's.
        restricted: `restrictions.container()` or `restrictions.service()`.
    """

    def __init__(
        self,
        image: Image,
        root: Path,
        words: Sequence[str],
        variables: dict[str, str],
        restricted: restrictions.Restrictions,
    ) -> None:
        self._name = f"nerstream-check-{os.getpid()}-{time.monotonic_ns()}"
        self._bundle = image.folder / "bundles" / self._name
        self._bundle.mkdir(parents=True)
        config = image.config()
        spec = restrictions.bundle(
            root,
            user=config["User"],
            cwd=config["WorkingDir"],
            words=[*config["Entrypoint"], *words],
            variables=[*config["Env"], *(f"{name}={value}" for name, value in variables.items())],
            writable=["/tmp", *config["Volumes"]],
            restricted=restricted,
        )
        (self._bundle / "config.json").write_text(json.dumps(spec))
        self.log = self._bundle / "log"

    def start(self) -> subprocess.Popen[bytes]:
        """Standard output and error go to `log`."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                self._in_a_namespace("run", "--bundle", str(self._bundle), self._name),
                stdout=log,
                stderr=log,
            )

    def enter(self, words: Sequence[str]) -> int:
        """Exit code of a command beside it, as the engine runs the health check."""
        return subprocess.run(
            self._in_a_namespace("exec", self._name, *words), check=False
        ).returncode

    def signal(self, number: signal.Signals) -> None:
        subprocess.run(self._in_a_namespace("kill", self._name, number.name), check=True)

    @staticmethod
    def _in_a_namespace(*words: str) -> list[str]:
        # crun refuses a machine that has both kinds of cgroups; it needs none of them here.
        script = (
            'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --cgroup-manager=disabled "$@"'
        )
        return ["unshare", "--mount", "bash", "-c", script, "crun", *words]


def tags_its_samples(image: Image, root: Path, restricted: restrictions.Restrictions) -> None:
    """`nerstream demo`, from the broker inside to entities."""
    one = Container(image, root, ["demo", "--json"], {}, restricted)
    code = one.start().wait(_PATIENCE_S)
    text = one.log.read_text()
    assert code == 0, text
    tagged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert sum(bool(article.get("entities")) for article in tagged) > 20, text
    print(f"demo, {restricted.name}: {len(tagged)} articles tagged")


def works_and_drains(image: Image, root: Path, bootstrap: str) -> None:
    """`doctor`, then `run` until it is healthy by the image's own check; SIGTERM drains it."""
    topics = [f"image-{name}-{os.getpid()}" for name in ("in", "out", "dead")]
    for topic in topics:
        helpers.create_topic(bootstrap, topic, 2)
    names = ("INPUT_TOPICS", "OUTPUT_TOPIC", "DEAD_LETTER_TOPIC")
    variables = {f"NERSTREAM_{name}": topic for name, topic in zip(names, topics, strict=True)}
    variables |= {"NERSTREAM_BOOTSTRAP_SERVERS": bootstrap, "NERSTREAM_MODEL": "bundled"}
    restricted = restrictions.container()
    try:
        looked = Container(image, root, ["doctor", "--no-model"], variables, restricted)
        code = looked.start().wait(_PATIENCE_S)
        assert code == 0, looked.log.read_text()
        print("doctor: nothing in the way")
        worker = Container(image, root, image.config()["Cmd"], variables, restricted)
        process = worker.start()
        helpers.produce(bootstrap, topics[0], [helpers.Record(b'{"id":"1","title":"Oslo"}')] * 100)
        deadline = time.monotonic() + _PATIENCE_S
        while len(helpers.read_settled(bootstrap, topics[1])) < 100:
            assert process.poll() is None, worker.log.read_text()
            assert time.monotonic() < deadline, worker.log.read_text()
            time.sleep(1)
        check = image.config()["Healthcheck"]["Test"]
        assert check[0] == "CMD"
        assert worker.enter(check[1:]) == 0
        worker.signal(signal.SIGTERM)
        assert process.wait(_PATIENCE_S) == 0, worker.log.read_text()
        assert "drained" in worker.log.read_text()
        print("run: 100 articles tagged, healthy by the image's own check, drained on SIGTERM")
    finally:
        helpers.delete_topics(bootstrap, topics)


def main() -> int:
    """0 when all of it works."""
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.tools.image", description=__doc__)
    parser.add_argument("folder", type=Path, help="for gigabytes, which stay for the next time")
    image = Image(parser.parse_args().folder.resolve())
    missing = [name for name in _PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        needs = f"Debian's packages {', '.join(missing)}" if missing else "root"
        print(f"the image cannot be built here: it needs {needs}", file=sys.stderr)
        return 1
    image.build()
    with image.mounted() as root:
        tags_its_samples(image, root, restrictions.container())
        tags_its_samples(image, root, restrictions.service())
        with KafkaServer() as server:
            works_and_drains(image, root, server.bootstrap_servers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
