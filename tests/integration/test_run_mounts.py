"""RUN --mount with real containers: what the command sees, what stays, and what must not."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dockmagic.builder.settings import RunSettings
from dockmagic.engine import Engine
from dockmagic.errors import BuildError, DockerfileError, RunFailed
from dockmagic.events import BuildOutput, Event
from dockmagic.image.store import Image

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]

HERE = Path(__file__).parents[2]
SECRET = b"5ac1f0-not-for-others"
BUILD = """
import sys
from pathlib import Path
from dockmagic.engine import Engine
with Engine(Path(sys.argv[1])) as engine:
    engine.build(sys.argv[2], no_cache=True)
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with files of somebody else, one of them ignored."""
    directory = tmp_path / "context"
    (directory / "sub").mkdir(parents=True)
    for name, text in {"a": "A", "sub/b": "B", "ignored": "I", ".dockerignore": "ignored\n"}.items():
        (directory / name).write_text(text)
        os.chown(directory / name, 1234, 1234)
    return directory


def said(engine: Engine, run: str, context: Path | None = None, *, before: str = "", **options: object) -> str:
    """What one RUN on busybox writes to standard output."""
    return built(engine, f"{before}FROM busybox\nRUN {run}\n", context, **options)[0]


def built(engine: Engine, text: str, context: Path | None = None, **options: object) -> tuple[str, Image]:
    """What the steps of a build write to standard output, and its image."""
    written: list[bytes] = []

    def on_event(event: Event) -> None:
        if isinstance(event, BuildOutput) and event.stream == "stdout":
            written.append(event.data)

    image = engine.build(text, context=context, on_event=on_event, **options)  # type: ignore[arg-type]
    return b"".join(written).decode(), image


def added(engine: Engine, image: Image, base: str = "busybox") -> list[str]:
    """Every name in the layers that the build added."""
    known = len(engine.store.get(base).config.diff_ids)
    lower = engine.snapshots.lower(image.config.diff_ids)
    own = lower[: len(lower) - known]
    return sorted(str(path.relative_to(layer)) for layer in own for path in layer.rglob("*"))


def test_files_of_the_context_can_be_read_and_not_changed(engine: Engine, context: Path) -> None:
    script = "cd /src; find . | sort; cat a sub/b; stat -c %u:%g a; touch new || echo refused"
    text = said(engine, f"--mount=target=/src {script}", context)
    assert text.splitlines()[:4] == [".", "./.dockerignore", "./a", "./sub"]
    assert "AB0:0" in text.replace("\n", "")
    assert "refused" in text
    assert "ignored" not in text


def test_what_is_written_to_files_of_the_context_is_thrown_away(engine: Engine, context: Path) -> None:
    script = "echo more >> /src/a; rm /src/sub/b; touch /src/new; ls /src > /listed"
    _, image = built(engine, f"FROM busybox\nRUN --mount=target=/src,rw {script}\n", context)
    assert ((context / "a").read_text(), (context / "sub/b").exists()) == ("A", True)
    assert added(engine, image) == ["listed"]
    assert "new" not in said(engine, "--mount=target=/src ls /src", context)


def test_a_stage_and_a_file_of_an_image(engine: Engine) -> None:
    stage = "FROM busybox AS one\nRUN mkdir /o && echo 1 > /o/x && echo 1 > /o/y\nRUN rm /o/x && echo 2 > /o/z\n"
    flags = "--mount=from=one,source=/o,target=/o --mount=from=busybox,source=/etc/passwd,target=/p"
    assert said(engine, f"{flags} ls /o; grep -c root /p; touch /o/n 2>&1 || echo ro", before=stage).splitlines() == [
        "y", "z", "1", "touch: /o/n: Read-only file system", "ro",
    ]  # fmt: skip
    script = "rm /o/y; echo 3 > /o/n; ls /o"
    assert said(engine, f"--mount=from=one,source=o,target=/o,rw {script}", before=stage).split() == ["n", "z"]
    assert said(engine, "--mount=from=one,source=o,target=/o ls /o", before=stage).split() == ["y", "z"]


def test_a_whole_stage_with_many_layers(engine: Engine) -> None:
    stage = "FROM busybox AS one\n" + "".join(f"RUN echo {number} > /f{number}\n" for number in range(4))
    assert said(engine, "--mount=from=one,target=/one cat /one/f0 /one/f3", before=stage).split() == ["0", "3"]


def test_a_cache_stays_between_builds_and_out_of_the_image(engine: Engine) -> None:
    text = "FROM busybox\nRUN --mount=type=cache,target=/var/cache/deep/x echo {} >> /var/cache/deep/x/log; cat {}\n"
    log = "/var/cache/deep/x/log"
    _, first = built(engine, text.format("one", log))
    assert added(engine, first) == []
    assert built(engine, text.format("two", log))[0].split() == ["one", "two"]
    engine.close()
    with Engine(engine.root) as again:
        assert built(again, text.format("three", log))[0].split() == ["one", "two", "three"]
        assert built(again, text.format("three", log))[0] == ""


def test_mode_and_owner_of_a_cache(engine: Engine) -> None:
    assert said(engine, "--mount=type=cache,target=/c stat -c '%a %u %g' /c") == "755 0 0\n"
    flag = "--mount=type=cache,target=/c,mode=0711,uid=5,gid=6"
    assert said(engine, f"{flag} stat -c '%a %u %g' /c") == "711 5 6\n"
    assert "Read-only" in said(engine, "--mount=type=cache,target=/c,ro touch /c/x 2>&1 || true")


def test_a_cache_that_begins_with_a_stage(engine: Engine) -> None:
    stage = "FROM busybox AS one\nRUN mkdir /seed && echo s > /seed/f\n"
    flag = "--mount=type=cache,from=one,source=seed,target=/c"
    assert said(engine, f"{flag} cat /c/f; echo more > /c/g", before=stage) == "s\n"
    assert said(engine, f"{flag} ls /c", before=stage).split() == ["f", "g"]


def at_once(root: Path, *texts: str) -> None:
    """Build in as many processes at the same time; all have to succeed."""
    words = [sys.executable, "-c", BUILD, str(root)]
    builders = [subprocess.Popen([*words, text], stderr=subprocess.PIPE, cwd=HERE, text=True) for text in texts]
    failures = [builder.communicate(timeout=120)[1] for builder in builders]
    assert [builder.returncode for builder in builders] == [0] * len(texts), failures


def meeting(me: str, other: str, flags: str, script: str) -> str:
    """A RUN that waits in a shared cache until the other is there, too."""
    meet = f"touch /m/{me}; n=0; until [ -e /m/{other} ] || [ $n -gt 300 ]; do sleep .1; n=$((n+1)); done"
    return f"FROM busybox\nRUN --mount=type=cache,id=meet,target=/m {flags} {meet}; [ -e /m/{other} ] && {script}\n"


def test_a_shared_cache_is_used_by_two_processes_at_once(engine: Engine) -> None:
    at_once(engine.root, *(meeting(me, other, "", "true") for me, other in (("a", "b"), ("b", "a"))))


def test_private_caches_are_apart_while_both_are_used(engine: Engine) -> None:
    flags = "--mount=type=cache,target=/p,sharing=private"
    script = "touch /p/{0}; sleep 1; [ $(ls /p) = {0} ]"
    at_once(engine.root, *(meeting(me, other, flags, script.format(me)) for me, other in (("a", "b"), ("b", "a"))))
    names = said(engine, f"{flags} ls /p").split()
    assert names in (["a"], ["b"])


def test_a_locked_cache_is_used_by_one_after_the_other(engine: Engine) -> None:
    script = "[ ! -e /l/busy ] && touch /l/busy && sleep 1 && rm /l/busy && echo x >> /l/log"
    text = f"FROM busybox\nRUN --mount=type=cache,target=/l,sharing=locked {script}\n"
    at_once(engine.root, text, text)
    assert said(engine, "--mount=type=cache,target=/l,sharing=locked cat /l/log") == "x\nx\n"


def test_memory(engine: Engine) -> None:
    script = "grep ' /t tmpfs' /proc/mounts; dd if=/dev/zero of=/t/f bs=1k count=2048 2>&1 || echo full"
    text, image = built(engine, f"FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m {script}\n")
    assert "nosuid" in text
    assert "size=1024k" in text
    assert "full" in text
    assert added(engine, image) == []


def test_a_secret_is_a_file_for_its_owner_only(engine: Engine) -> None:
    script = "stat -c '%a %u %g' /run/secrets/s; cat /run/secrets/s; echo x > /run/secrets/s || echo refused"
    text = said(engine, f"--mount=type=secret,id=s {script}", secrets={"s": SECRET})
    assert text.startswith(f"400 0 0\n{SECRET.decode()}")
    assert "refused" in text
    flag = "--mount=type=secret,id=s,target=/etc/s,mode=0440,uid=7,gid=8"
    assert said(engine, f"{flag} stat -c '%a %u %g' /etc/s", secrets={"s": b""}) == "440 7 8\n"
    assert said(
        engine, "--mount=type=secret,id=s,env=TOKEN echo $TOKEN; ls /run || true", secrets={"s": SECRET}
    ).startswith(SECRET.decode())
    assert said(engine, "--mount=type=secret,id=s [ ! -e /run/secrets/s ] && echo none") == "none\n"


def test_a_secret_leaves_no_trace(engine: Engine, tmp_path: Path) -> None:
    flags = "--mount=type=secret,id=s,required --mount=type=secret,id=s,env=TOKEN"
    text = f'FROM busybox\nRUN {flags} cat /run/secrets/s > /dev/null; [ -n "$TOKEN" ]; touch /done\nCMD true\n'
    _, image = built(engine, text, secrets={"s": SECRET}, tags=["secretive"])
    assert added(engine, image) == ["done"]
    for path in [path for top in (engine.root, engine.run_dir) for path in top.rglob("*") if path.is_file()]:
        data = path.read_bytes()
        assert SECRET not in (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data), path
    engine.build(text, secrets={"s": b"another"})
    with pytest.raises(DockerfileError, match='the secret "s" is required'):
        engine.build(text, no_cache=True)


def test_secrets_come_from_the_command_line(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_bytes(SECRET)
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN --mount=type=secret,id=s cat /run/secrets/s | md5sum\n")
    words = ["build", "--secret", f"id=s,src={tmp_path / 'token'}", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "dockmagic", *words], cwd=HERE, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert SECRET.decode() not in done.stdout + done.stderr


def test_what_a_failing_command_mounted_is_gone(engine: Engine, context: Path) -> None:
    flags = "--mount=target=/src,rw --mount=type=cache,target=/c --mount=from=busybox,target=/b,rw"
    with pytest.raises(RunFailed):
        said(engine, f"{flags} touch /src/x /c/x /b/x; exit 3", context)
    assert list((engine.root / "tmp").iterdir()) == []
    assert said(engine, "--mount=type=cache,target=/c ls /c") == "x\n"


def test_mounts_in_mounts_and_for_another_user(engine: Engine, context: Path) -> None:
    flags = "--mount=target=/w,rw --mount=type=cache,target=/w/cache,uid=1000 --mount=type=tmpfs,target=/w/tmp"
    text = f"FROM busybox\nUSER 1000\nRUN {flags} cat /w/a; touch /w/cache/x /w/tmp/y; ls /w\n"
    output, image = built(engine, text, context)
    assert output.split() == ["Aa", "cache", "sub", "tmp"]
    assert added(engine, image) == []


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("target=/etc/passwd", "a directory can't be mounted on /etc/passwd, which is a file in the image"),
        ("source=a,target=/etc", "a file can't be mounted on /etc, which is a directory in the image"),
        ("type=tmpfs,target=/proc/none", '"/proc/none" cannot be mounted because it is inside "/proc"'),
        ("target=/w --mount=type=cache,target=/w/c", "/w/c: Read-only file system"),
    ],
)
def test_where_nothing_can_be_mounted(engine: Engine, context: Path, flag: str, message: str) -> None:
    with pytest.raises(BuildError, match=f"could not start: .*{message}"):
        said(engine, f"--mount={flag} true", context)


@pytest.mark.parametrize(("flag", "links"), [("none", 1), ("default", 2)])
def test_networks(engine: Engine, flag: str, links: int) -> None:
    text = said(engine, f"--network={flag} ls /sys/class/net | wc -l; hostname")
    assert text.splitlines() == [str(links), "buildkitsandbox"]


def test_the_hosts_network(engine: Engine) -> None:
    allowed = RunSettings(allow=frozenset(("network.host",)))
    text, _ = built(engine, "FROM busybox\nRUN --network=host cat /proc/net/dev\n", run=allowed)
    names = set(text.replace(":", " ").split())
    assert {path.name for path in Path("/sys/class/net").iterdir()} <= names | {"bonding_masters"}


def test_a_directory_that_the_command_line_named(engine: Engine, context: Path) -> None:
    contexts = {"lib": context}
    assert said(engine, "--mount=from=lib,source=sub,target=/l ls /l; cat /l/b", build_contexts=contexts) == "b\nB"
