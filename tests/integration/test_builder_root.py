from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.errors import BuildError, RunFailed
from dockmagic.image.overlay import OPAQUE
from dockmagic.oci.image import ContainerConfig, ImageConfig
from dockmagic.oci.reference import Reference
from tests.integration.builder_peers import chroot_runner, make_base, make_context, our_tree
from tests.unit.builder.lab import Lab

pytestmark = pytest.mark.root

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service, effective
HERE = Path(__file__).parents[2]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose commands run in a chroot, with a busybox base."""
    lab = Lab(tmp_path / "state", chroot_runner)
    with lab.workspaces.new() as workspace:
        (workspace / "upper").mkdir()
        make_base(workspace / "upper")
        layer = lab.snapshots.commit(None, workspace / "upper")
    config = ImageConfig("amd64", "linux", ContainerConfig(env=("PATH=/bin",)), (layer.diff_id,))
    lab.store.add_image(config, [layer.descriptor], references=[Reference.parse("busybox")])
    yield lab
    assert lab.left() == []


def test_what_only_root_can_give_to_files(lab: Lab, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", {"d/suid|4755": "s", "d/sgid|2755": "s", "d/cap|755": "c"})
    os.setxattr(context / "d/cap", "security.capability", CAPABILITY)
    os.setxattr(context / "d/cap", "trusted.overlay.metacopy", b"")
    os.setxattr(context / "d", "trusted.overlay.opaque", b"y")
    os.chown(context / "d/suid", 1000, 1000)
    (context / "d/suid").chmod(0o4755)
    os.mknod(context / "d/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    image = lab.build("FROM busybox\nCOPY . /x/\nCOPY --chown=bob:staff . /y/\nCOPY d /srv/data\n", context)
    tree = our_tree(image, lab.snapshots, tmp_path)
    assert (tree["x/d/suid"]["mode"], tree["x/d/suid"]["owner"]) == ("0o4755", "0:0")
    assert (tree["y/d/sgid"]["mode"], tree["y/d/sgid"]["owner"]) == ("0o2755", "1000:50")
    assert tree["x/d/cap"]["xattrs"] == tree["y/d/cap"]["xattrs"] == {"security.capability": CAPABILITY.hex()}
    assert tree["x/d/null"]["kind"] == oct(stat.S_IFCHR)
    assert tree["srv/data"]["mode"] == "0o2750"  # still the base's, though something was copied into it


def test_owners_and_attributes_come_along_from_a_stage(lab: Lab, tmp_path: Path) -> None:
    image = lab.build(
        "FROM busybox AS one\nRUN mkdir -p /o/in && echo 1 > /o/in/f && chown 1000:50 /o/in/f && chmod 4711 /o/in/f\n"
        "FROM busybox\nCOPY --from=one /o /o/\nCOPY --from=one --chown=7:8 /o /p/\nCOPY --from=one /srv /q\n"
    )
    tree = our_tree(image, lab.snapshots, tmp_path)
    assert (tree["o/in/f"]["owner"], tree["o/in/f"]["mode"]) == ("1000:50", "0o4711")
    assert (tree["p/in/f"]["owner"], tree["p/in/f"]["mode"]) == ("7:8", "0o4711")
    assert (tree["q/data"]["owner"], tree["q/data"]["mode"]) == ("1000:50", "0o2750")


def test_removed_and_replaced_directories_are_seen_through_all_layers(lab: Lab, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", {"a": "a"})
    image = lab.build(
        "FROM busybox\n"
        "RUN mkdir -p /t/old && echo 1 > /t/old/f && echo 1 > /t/g\n"
        "RUN rm -r /t && mkdir /t && echo 2 > /t/new\n"
        "COPY a /t/old/\n"
        "RUN test ! -e /t/g && test ! -e /t/old/f && cat /t/old/a /t/new\n"
        "FROM busybox AS two\n"
        "COPY --from=0 /t /seen\n",
        context,
    )
    tree = our_tree(image, lab.snapshots, tmp_path)
    assert [name for name in tree if name.startswith("seen/")] == ["seen/new", "seen/old", "seen/old/a"]


def test_an_archive_that_replaces_a_directory_twice(lab: Lab, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", {})
    subprocess.run(
        ["sh", "-ec", "mkdir 1 2; echo f > 1/srv; mkdir 2/srv; echo n > 2/srv/n; tar -cf a.tar -C 1 srv -C ../2 srv"],
        cwd=context,
        check=True,
    )
    image = lab.build("FROM busybox\nADD a.tar /\n", context)
    tree = our_tree(image, lab.snapshots, tmp_path)
    assert [name for name in tree if name.startswith("srv/")] == ["srv/n"]
    layer = Path(lab.snapshots.lower(image.config.diff_ids)[0])
    assert os.getxattr(layer / "srv", OPAQUE) == b"y"


def test_a_failing_command_is_shown(lab: Lab) -> None:
    with pytest.raises(RunFailed) as caught:
        lab.build("FROM busybox\nRUN echo before; \\\n    cat /nothing\n")
    assert caught.value.exit_status == 1
    assert caught.value.output == "before\ncat: can't open '/nothing': No such file or directory"
    assert "2 | RUN echo before" in str(caught.value)


def test_a_copied_device_that_means_removal_is_refused(lab: Lab, tmp_path: Path) -> None:
    context = make_context(tmp_path / "context", {"d/f": ""})
    subprocess.run(["sh", "-ec", "mknod z c 0 0; tar -cf z.tar z; rm z"], cwd=context, check=True)
    with pytest.raises(BuildError, match="character device 0/0"):
        lab.build("FROM busybox\nADD z.tar /\n", context)


def run_apart(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Python code in a mount namespace of its own, with the tests importable."""
    words = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", code, *args]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=HERE)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    make_context(tmp_path / "context", {"small": "s", "large": os.urandom(6 << 20)})
    code = """
import subprocess, sys
from pathlib import Path
small, context = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], check=True)
from dockmagic.errors import StoreError
from tests.unit.builder.lab import Lab
lab = Lab(small / "state")
first = lab.build("FROM scratch\\nCOPY small /\\n", context)
for text in ("FROM scratch\\nCOPY large /\\n", "FROM scratch\\nADD large /x/\\n"):
    try:
        lab.build(text, context)
    except StoreError as error:
        print(str(error).splitlines()[0])
print(lab.left(), lab.build("FROM scratch\\nCOPY small /\\n", context).id == first.id)
"""
    done = run_apart(code, str(tmp_path / "small"), str(tmp_path / "context"))
    assert done.returncode == 0, done.stderr
    *errors, last = done.stdout.splitlines()
    assert last == "[] True"
    assert len(errors) == 2
    assert all(error.startswith("Dockerfile:2: ") and "space" in error for error in errors)


def test_a_kill_in_the_middle_leaves_nothing_that_is_not_collected(lab: Lab, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from tests.unit.builder.lab import Lab
def command(step, output):
    (step.upper / "half").write_text("half")
    print("running", flush=True)
    import time
    time.sleep(60)
Lab(Path(sys.argv[1]), command).build("FROM busybox\\nENV A=1\\nRUN long\\n")
"""
    victim = subprocess.Popen([sys.executable, "-c", code, str(lab.root)], stdout=subprocess.PIPE, cwd=HERE)
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"running\n"
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert len(lab.left()) == 1
    lab.store.collect()
    assert lab.left() == []
    lab.command = lambda step, output: 0
    lab.build("FROM busybox\nENV A=1\nRUN long\n")
    assert len(lab.runs) == 1


def test_two_processes_build_on_one_root(lab: Lab, tmp_path: Path) -> None:
    make_context(tmp_path / "context", {"a": "a", "d/b": "b"})
    code = """
import sys
from pathlib import Path
from tests.integration.builder_peers import chroot_runner
from tests.unit.builder.lab import Lab
lab = Lab(Path(sys.argv[1]), chroot_runner)
for number in range(3):
    text = f"FROM busybox\\nWORKDIR /w\\nCOPY . .\\nRUN echo {number} > n\\n"
    image = lab.build(text, Path(sys.argv[2]), tag=f"t{number}")
    assert lab.read(image, "w/n") == f"{number}\\n", number
"""
    words = [sys.executable, "-c", code, str(lab.root), str(tmp_path / "context")]
    builders = [subprocess.Popen(words, stderr=subprocess.PIPE, cwd=HERE) for _ in range(3)]
    for builder in builders:
        _, errors = builder.communicate(timeout=90)
        assert builder.returncode == 0, errors.decode()
    for number in range(3):
        assert lab.read(lab.store.get(f"t{number}"), "w/n") == f"{number}\n"


def test_ten_cached_steps_take_no_time(lab: Lab) -> None:
    text = "FROM busybox\n" + "".join(f"RUN echo {number} > /{number}\n" for number in range(10))
    lab.build(text)
    begun = time.monotonic()
    lab.build(text)
    assert time.monotonic() - begun < 0.5
    assert lab.runs == []
