"""`dockmagic run` beside `podman run`: the same arguments on the same images, compared by status, output and words.

Both take their flags from `docker run`. Where they differ on purpose, a table has the reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance.scene import Done, Side

pytestmark = [pytest.mark.root, pytest.mark.needs("podman", "skopeo", "runc")]

Both = Callable[[str], tuple[Done, Done]]

SAME = (
    # what is run
    "busybox echo hi",
    "probe",
    "probe echo -- --rm -it",
    "entry",
    "--entrypoint echo entry a b",
    '--entrypoint "" entry echo plain',
    "user",
    "user ls -ld .",
    "-- busybox echo hi",
    "busybox -- echo hi",
    """busybox sh -c 'echo "$0" $#' a "b c" "" """,
    "busybox printf 'tab\\tü €\\n'",
    # statuses and streams
    "busybox sh -c 'echo out; echo err >&2; exit 3'",
    "busybox sh -c 'exit 255'",
    "busybox sh -c 'sh -c \"kill -9 \\$\\$\"; echo $?'",
    "busybox cat",
    "-i busybox cat",
    "-i=false busybox cat",
    # terminals
    "-t busybox sh -c 'tty; echo out; echo err >&2; echo $TERM'",
    "-t busybox sh -c 'ls -1 /dev/pts; echo here >/dev/tty; echo there >/dev/console'",
    "-t -e TERM=vt100 -u 1000 busybox sh -c 'echo $TERM; stat -c %u:%g,%a,%t:%T /dev/pts/0'",
    "-t --read-only busybox sh -c 'tty; test -t 0 && test -t 1 && test -t 2; echo $?'",
    "-a stdout busybox sh -c 'echo out; echo err >&2'",
    "-a stderr busybox sh -c 'echo out; echo err >&2; exit 2'",
    # environment
    "-e K=v -e E= -e FROM_HERE -e NOT_HERE busybox sh -c 'echo $K [${E-unset}] $FROM_HERE [${NOT_HERE-unset}]'",
    "-e A=1 --env A=2 probe sh -c 'echo $A'",
    "-e PATH=/t probe script x",
    "--env-file variables probe sh -c 'echo [$FOO] [$IND] [$QUOTED] [$FROM_HERE] [${NOT_HERE-}] [${EMPTY-unset}]'",
    "--env-file variables -e FOO=flag busybox sh -c 'echo $FOO'",
    # user, directory, names
    "-u alice probe sh -c 'id; echo $HOME; pwd'",
    "-u 1000 probe sh -c 'id; echo $HOME'",
    "-u 4242 probe sh -c 'id -u; echo $HOME'",
    "-u alice:video probe id",
    "-u 0:0 user id",
    '-u "" user id',
    "-u 1000:1000 --group-add video probe id",
    "-w /t probe ./script x",
    "-w / user pwd",
    "-h -x busybox hostname",
    "--hostname=a.example.org busybox hostname",
    # files
    "--read-only --tmpfs /tmp busybox touch /tmp/x",
    "--read-only busybox touch /dev/shm/x",
    "--read-only=true busybox touch /x",
    "--tmpfs /x:size=1m,mode=700,exec busybox sh -c 'ls -ld /x | cut -c1-10; df -k /x | tail -1 | cut -c20-40'",
    "--tmpfs /x:ro busybox touch /x/y",
    "--tmpfs /x:size=10% busybox true",
    "-v ./files:/m:ro busybox touch /m/x",
    "-v ./files:/m:ro,Z busybox touch /m/x",
    "-v ./files:/m:z busybox ls /m",
    "-v ./files/script:/script busybox sh /script a",
    "-v ./files:/etc/new/deep busybox ls /etc/new/deep",
    "--shm-size 1m busybox sh -c 'df -k /dev/shm | tail -1 | cut -c20-40'",
    # limits
    "-m 64m --memory-swap -1 -c 512 --cpus .5 busybox true",
    "-m '64 m' --cpuset-cpus 0 --pids-limit -2 busybox true",
    "-m 64MiB --memory-reservation 32m --cpus 0 busybox true",
    "-m 67108864b --cpuset-cpus '' busybox true",
    "-m 0 --memory-swap -1 busybox true",
    "--pids-limit 1 busybox sh -c 'ls | cat'",
    "--ulimit nofile=100:200 busybox sh -c 'ulimit -n; ulimit -Hn'",
    "--ulimit core=0 busybox sh -c 'ulimit -c'",
    "--cpu-period 50000 --cpu-quota 25000 --cpuset-mems 0 busybox true",
    "--oom-score-adj 250 busybox cat /proc/self/oom_score_adj",
    "--sysctl net.core.somaxconn=321 --sysctl kernel.shmmni=99 busybox cat /proc/sys/net/core/somaxconn",
    # whose namespaces
    "--uts host busybox hostname",
    "--pid host busybox sh -c 'test $$ -gt 1 && readlink /proc/self/ns/pid'",
    "--ipc host busybox readlink /proc/self/ns/ipc",
    "--cgroupns host busybox readlink /proc/self/ns/cgroup",
    # privileges
    "--device /dev/zero:/dev/nought:r busybox sh -c 'ls -l /dev/nought | cut -c1-10; head -c 3 /dev/nought | wc -c'",
    "--device-cgroup-rule 'c 42:* rwm' busybox sh -c 'mknod /d c 42 7 && cat /d'",
    "--security-opt seccomp=profile.json busybox mkdir /x",
    "--security-opt seccomp=profile.json busybox touch /x",
    "--privileged busybox grep Seccomp: /proc/self/status",
    "--privileged busybox sh -c 'mkdir /m && mount -t tmpfs none /m && echo mounted'",
    "--cap-drop all busybox grep Cap /proc/self/status",
    "--cap-drop ALL --cap-add chown busybox grep Cap /proc/self/status",
    "--cap-drop All --cap-add Cap_Kill busybox grep Cap /proc/self/status",
    "--security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status",
    "--security-opt seccomp=unconfined busybox grep Seccomp: /proc/self/status",
    "--security-opt label=disable busybox true",
    "--security-opt apparmor=unconfined busybox true",
    # labels, names
    "-l a=b --label c --name ok.name_1-2 --stop-signal INT --stop-timeout 3 --rm=true busybox true",
    '--name "" --read-only=false -l a= busybox touch /x',
    "--label-file labels -l from-file=2 --annotation a=b busybox true",
    # the image
    "--pull never busybox echo here",
    "--pull missing -q busybox echo here",
)

_SHOW = "sh -c 'cd /v; find . | sort; stat -c \"%n %a %u %g %h\" . sub/f; readlink l'"
VOLUMES = (
    f"volume {_SHOW}",
    f"-v vol1:/v volume {_SHOW}",
    "-v vol1:/v volume sh -c 'ls /v; rm -r /v/sub; ls /v'",
    "-v vol1:/m busybox ls /m",
    "-v vol2:/v:nocopy volume ls -a /v",
    "-v ./files:/v volume ls /v",
    "-v vol3:/t probe ls /t",
    "-v /t probe ls -l /t",
    "-v vol4:/m:ro busybox touch /m/x",
    "--read-only -v vol4:/m busybox sh -c 'touch /m/x; ls /m; touch /x'",
    "-v vol5:/m/a/b -v vol6:/m --tmpfs /m/a busybox sh -c 'ls -R /m'",
    "-v vol7:/new/dir/here busybox sh -c 'ls -ld /new /new/dir /new/dir/here | cut -c1-10'",
    "--mount type=volume,source=vol8,target=/t probe ls /t",
    "--mount type=volume,src=vol8,dst=/m,ro busybox touch /m/x",
    "--mount type=volume,destination=/t probe ls /t",
    "--mount type=bind,src=./files,dst=/m busybox ls /m",
    "--mount type=bind,source=./files,target=/m,readonly busybox touch /m/x",
    "--mount type=bind,source=./files,target=/m,readonly=false busybox ls /m",
    "--mount type=bind,source=./script,target=/m busybox cat /m",
    "--mount type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=0711 busybox sh -c 'stat -c %a /m; df -k /m | tail -n1'",
    "--mount type=image,src=probe,dst=/m busybox ls /m/t",
    "--mount type=image,src=probe,dst=/m busybox touch /m/x",
)

REFUSED = (
    ("bare", 125, "CMD"),
    ("--entrypoint '' entry", 125, "command"),
    ("--entrypoint 'echo a' probe", 127, "executable file not found in"),
    ("busybox nonsense", 127, '"nonsense": executable file not found in'),
    ("busybox /etc", 126, "permission denied"),
    ("-w /t probe script", 127, "executable file not found in"),
    ("-e PATH= probe echo x", 127, "executable file not found in"),
    ("-e =x busybox true", 125, "=x"),
    ("--env-file nameless busybox true", 125, "=x"),
    ("--env-file missing busybox true", 125, "(?i)no such file or directory"),
    ("--tmpfs x busybox true", 125, "absolute path"),
    ("--tmpfs /x:bogus busybox true", 125, "bogus"),
    ("-v a:b:c:d busybox true", 125, "a:b:c:d"),
    ("-v :/m busybox true", 125, "empty"),
    ("-v ./files:/m:bogus busybox true", 125, "bogus"),
    ("-v ./files:/m:ro,rw busybox true", 125, "rw"),
    ("-v .:/m -v ./files:/m busybox true", 125, "(?i)duplicate mount"),
    ("-v a/b:/m busybox true", 125, "a/b"),
    ("-v vol9: busybox true", 125, "vol9|empty|absolute"),
    ("-v vol9:m busybox true", 125, "absolute"),
    ("-v vol9:/m -v vola:/m busybox true", 125, "(?i)duplicate mount"),
    ("-v vol9:/m --mount type=tmpfs,dst=/m busybox true", 125, "(?i)duplicate mount"),
    ("-v vol9:/m --tmpfs /m busybox true", 125, "(?i)duplicate mount"),
    ("--mount type=bind,src=./none,dst=/m busybox true", 125, "none"),
    ("--mount type=bind,src=. busybox true", 125, "target|destination"),
    ("--mount type=bogus,dst=/m busybox true", 125, "bogus"),
    ("--mount type=bind,src=.,dst=/m,bogus=1 busybox true", 125, "bogus"),
    ("--mount type=tmpfs,src=.,dst=/m busybox true", 125, "(?i)source|src"),
    ("--volumes-from nobody busybox true", 125, "nobody"),
    ("-m -5m busybox true", 125, "-5m"),
    ("-m 64mm busybox true", 125, "64mm"),
    ("-m 64m --memory-swap 32m busybox true", 125, "memory"),
    ("-m 64m --memory-reservation 128m busybox true", 125, "memory"),
    ("--cpus 0.001 busybox true", 125, "(?i)cpu"),
    ("-c -5 busybox true", 125, "-5"),
    ("--cpuset-cpus 1-0 busybox true", 125, "1-0"),
    ("--cpuset-cpus 9999 busybox true", 125, "9999"),
    ("--ulimit nofile=200:100 busybox true", 125, "soft limit"),
    ("--ulimit bogus=1 busybox true", 125, "bogus"),
    ("--cap-add BOGUS busybox true", 125, "capability"),
    ("--security-opt bogus busybox true", 125, "bogus"),
    ("-l =b busybox true", 125, "=b"),
    ("--label-file missing busybox true", 125, "(?i)no such file or directory"),
    ("--cidfile labels busybox true", 125, "(?i)container id file"),
    ("--pull sometimes busybox true", 125, "sometimes"),
    ("--name -bad busybox true", 125, "name"),
    ("--stop-signal BOGUS busybox true", 125, "BOGUS"),
    ("--stop-timeout -1 busybox true", 125, "-1"),
    ("--read-only=maybe busybox true", 125, "maybe"),
    ("--cpus 1 --cpu-quota 50000 busybox true", 125, "--cpu"),
    ("--sysctl kernel.hostname=x busybox true", 125, "kernel.hostname"),
    ("--device /dev/no-such busybox true", 125, "no-such"),
    ("--device-cgroup-rule bogus busybox true", 125, "bogus"),
    ("--security-opt seccomp=nameless busybox true", 125, "seccomp"),
    ("--pid bogus busybox true", 125, "bogus"),
    ("--bogus busybox true", 125, "unknown flag"),
    ("-ix busybox true", 125, "-x"),
    ("--memory", 125, "argument"),
    ("UPPER true", 125, "lower"),
    ("busybox@sha256:00 true", 125, "(?i)reference"),
)

MEANT = (
    ("-w /new/dir busybox pwd", 0, "Docker makes a working directory that is missing"),
    ("-w rel busybox pwd", 125, "Docker refuses a relative one as a mistake in the flags"),
    ("-u nobody-here probe id", 125, "Docker resolves users before it starts anything"),
    ("--entrypoint '[\"echo\"]' probe", 127, "Docker's flag takes one word"),
    ("-e B probe sh -c 'exit ${#B}'", 0, "Docker takes the image's variable away where the caller has none"),
    ("-e '' busybox true", 125, "Docker refuses a variable without a name"),
    ("probe /t/noshebang", 126, "the runtime's word is kept: the file was found and can't be executed"),
    ("probe /t/badinterp", 127, "the runtime's word is kept: the interpreter wasn't found"),
    ("--read-only busybox touch /tmp/x", 1, "Docker has no tmpfs on /tmp unless asked"),
    ("-m 1m busybox true", 125, "Docker has a least limit"),
    ("-m 64m --memory-swap 0 busybox true", 0, "Docker takes 0 as unset"),
    ("--cpus 1000 busybox true", 125, "Docker refuses more CPUs than there are"),
    ("--cpu-shares 1 busybox true", 125, "a weight out of range is a mistake in the flags"),
    ("--name x busybox true", 125, "Docker's names have two characters or more"),
    ("-v ./files:/ busybox true", 125, "Docker refuses to cover the root"),
    ("--domainname example.org busybox cat /proc/sys/kernel/domainname", 0, "Docker has the flag"),
)


@pytest.fixture(scope="module")
def both(dockmagic: Side, podman: Side) -> Iterator[Both]:
    """Run the same with both programs at the same time; what dockmagic gave, then what podman gave."""
    with ThreadPoolExecutor(2) as threads:

        def run(line: str) -> tuple[Done, Done]:
            ours, theirs = (threads.submit(side, f"run --rm {line}") for side in (dockmagic, podman))
            return ours.result(), theirs.result()

        yield run


@pytest.mark.parametrize("line", [*SAME, *VOLUMES])
def test_the_same_comes_out(line: str, both: Both) -> None:
    ours, theirs = both(line)
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), ours.stderr + theirs.stderr


@pytest.mark.parametrize(("line", "status", "words"), REFUSED)
def test_the_same_is_refused(line: str, status: int, words: str, both: Both) -> None:
    for done in both(line):
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert re.search(words, done.stderr), done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("line", "status", "why"), MEANT)
def test_what_is_meant_to_differ_still_does(line: str, status: int, why: str, both: Both) -> None:
    ours, theirs = both(line)
    assert ours.returncode == status, why
    assert theirs.returncode != status, f"no difference any more: {why}"
