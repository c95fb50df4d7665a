"""What a container's file system is: its mounts, volumes, generated files."""

from __future__ import annotations

from typing import Final

from tests.conformance.run_case import Case, Differs, inside, outcome
from tests.conformance.run_reasons import MASKS, MISSING_DIRECTORY, SHM, TMPFS

DEFAULTS: Final = inside(
    Case("", "at / | cut -d' ' -f1,2,3 | sed 's/master:[0-9]*//'; touch /x && echo written"),
    Case("", "at /proc"),
    Case(
        "",
        "at /dev | sed 's/,inode64//'",
        Differs("rw,nosuid tmpfs tmpfs rw,size=65536k,mode=755", "podman adds noexec to Docker's options of /dev"),
    ),
    Case("", "at /dev/pts"),
    Case(
        "", "at /dev/shm | sed 's/,inode64//'", Differs("rw,nosuid,nodev,noexec,relatime tmpfs shm rw,size=65536k", SHM)
    ),
    Case("", "stat -c '%a %u:%g' /dev/shm"),
    Case("", "at /dev/mqueue; stat -c '%a %u:%g' /dev/mqueue"),
    Case("", "at /sys"),
    Case(
        "",
        "at /sys/fs/cgroup | cut -c1-2",
        Differs(
            "ro",
            "with cgroup version 1 the others leave the directory of the hierarchies writable, but nothing in it",
            on="v1",
        ),
    ),
    Case("", "at /sys/fs/cgroup | cut -d, -f2-4"),
    Case("", "ls /sys/fs/cgroup | grep -v systemd"),
    Case(
        "",
        "ls /sys/fs/cgroup | grep -c systemd",
        Differs(r"0\n\[1\]", "containers have no group in the hierarchy that limits nothing, name=systemd", on="v1"),
    ),
    Case("", "at /sys/fs/cgroup/memory | cut -c1-2; at /sys/fs/cgroup/pids | cut -d, -f1-4"),
    Case("", "at /etc/hosts | cut -d' ' -f1; at /etc/hostname | cut -d' ' -f1"),
    Case("", "stat -c '%n %a %u:%g' /etc/hosts /etc/hostname"),
    Case(
        "",
        "at /etc/resolv.conf | cut -d' ' -f1",
        Differs("rw,relatime", "Docker makes it without a network, too; podman doesn't"),
    ),
    Case(
        "",
        "grep -c localhost /etc/hosts; sed 's/[[:space:]]/ /g' /etc/hosts",
        Differs(
            "2\n127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\nfe00:: ip6-localnet\n"
            "ff00:: ip6-mcastprefix\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters",
            "podman copies the host's lines; Docker has lines of its own",
        ),
    ),
    Case(
        "",
        "readlink /etc/mtab",
        Differs(
            r"\[1\]",
            "the others add a link to /proc/mounts; dockmagic leaves /etc as the image has it, but for its files",
        ),
    ),
    Case("", "cut -d' ' -f7- /proc/self/mountinfo | grep -c -e shared: -e master:"),
    Case("", "echo 127.0.0.1 added >> /etc/hosts && grep -c added /etc/hosts"),
    Case(
        "",
        "ls -a / | grep dockerenv",
        Differs(
            r"\.dockerenv",
            "the file that tells of a container is /.dockerenv for Docker, /run/.containerenv for podman",
        ),
    ),
    Case("", "stat -c '%a %u:%g' /tmp /root"),
    Case(
        "",
        "stat -c '%a %u:%g' /",
        Differs("755 0:0", "the image's layers don't have the root itself; Docker gives it 755, podman 555"),
    ),
    Case(
        "",
        "cut -d' ' -f5 /proc/self/mountinfo | grep -v -e /sys/fs/cgroup/ -e interrupts | sort",
        Differs(
            "(/dev|/etc|/proc|/sys|/|\n)[a-z/_.\n]*",
            "podman mounts /run/.containerenv, and hides /sys/dev/block; " + MASKS,
        ),
    ),
    Case("", "chmod 700 /; stat -c %a /"),
)

MOUNTS: Final = (
    inside(
        Case("--read-only", "at / | cut -c1-2; touch /x"),
        Case("--read-only", "touch /etc/x; touch /dev/x; touch /proc/x"),
        Case("--read-only", "touch /dev/shm/x && echo written"),
        Case("--read-only --tmpfs /t2", "touch /t2/x && echo written"),
        Case("--read-only", "echo more >> /etc/hosts"),
        Case("--read-only -v ./files:/files", "touch /files/new && rm /files/new && echo written"),
        Case("--read-only --tmpfs /run", "touch /run/x && echo written"),
    ),
    inside(
        Case(
            "--tmpfs /tm",
            "at /tm | sed 's/,inode64//'",
            Differs("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw", TMPFS),
        ),
        Case("--tmpfs /tm", "stat -c '%a %u:%g' /tm"),
        Case(
            "--tmpfs /s:size=1m,mode=700",
            "at /s | sed 's/,inode64//'; stat -c %a /s",
            Differs("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=1024k,mode=700\n700", TMPFS),
        ),
        Case(
            "--tmpfs /o:ro",
            "at /o | cut -d' ' -f1; touch /o/x",
            Differs("ro,nosuid,nodev,noexec,relatime\ntouch: /o/x: Read-only file system\n\\[1\\]", TMPFS),
        ),
        Case("--tmpfs /t", "ls /t", Differs("", TMPFS)),
    ),
    inside(
        Case(
            "--mount type=tmpfs,dst=/mt",
            "at /mt | sed 's/,inode64//'",
            Differs("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw", TMPFS),
        ),
        Case(
            "--mount type=tmpfs,dst=/ms,tmpfs-size=1m,tmpfs-mode=0711",
            "at /ms | sed 's/,inode64//'",
            Differs("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=1024k,mode=711", TMPFS),
        ),
        Case("--mount type=tmpfs,dst=/mr,ro", "touch /mr/x"),
    ),
    inside(
        Case("--shm-size 16m", "at /dev/shm | sed 's/,inode64//'"),
        Case("-v ./files:/b", "at /b | cut -c1-2; ls /b"),
        Case("-v ./files:/br:ro", "at /br | cut -c1-2; touch /br/x"),
        Case("-v ./files/script:/etc/shadow:ro", "head -n 1 /etc/shadow; echo x > /etc/shadow"),
        Case("-v ./files:/new/deep/dir", "ls -ld /new /new/deep | cut -c1-10; ls /new/deep/dir | wc -l"),
        Case("-v ./files:/bp:rprivate", "cut -d' ' -f5,7 /proc/self/mountinfo | grep ^/bp"),
        Case("--mount type=bind,src=./files,dst=/mb", "ls /mb | wc -l; touch /mb/z; rm /mb/z"),
        Case("--mount type=bind,src=./files,dst=/mbr,readonly", "touch /mbr/x"),
        Case("-v ./files:/etc/hosts.d", "ls /etc/hosts.d | wc -l"),
    ),
    inside(
        Case("", "ls -l /v | awk '{print $1, $2, $3, $4, $NF}'; stat -c '%a %u:%g' /v"),
        Case("", "at /v | cut -d' ' -f1", Differs("rw,relatime", "podman mounts volumes nosuid and nodev")),
        Case("", "touch /v/new && rm /v/sub/f && ls -R /v"),
        image="volume",
    ),
    inside(
        Case("-v named:/v", "find /v | sort; stat -c '%a %u:%g %h' /v /v/sub/f"),
        Case("-v other:/t", "ls /t"),
        Case("-v third:/t2", "stat -c '%a %u:%g' /t2; ls -A /t2"),
        Case("-v fourth:/ro:ro", "touch /ro/x"),
        Case("-v /anonymous", "touch /anonymous/x && ls /anonymous"),
        Case("--mount type=volume,src=fifth,dst=/mv", "touch /mv/x && ls /mv"),
        image="volume",
    ),
    inside(Case("-v named:/again", "find /again | sort")),
    inside(Case("-v named:/v:nocopy", "ls -A /v/sub"), Case("-v sixth:/t:nocopy", "ls -A /t")),
    inside(Case("-w /t", "pwd; ls")),
    outcome(
        "--tmpfs /o:noatime probe grep -c noatime /proc/mounts",
        Differs(r"\[0\]\n1", "podman refuses the options of times, which are Docker's"),
    ),
    outcome("-w /new/dir probe pwd", Differs(r"\[0\]\n/new/dir", MISSING_DIRECTORY)),
    outcome("-u alice -w /new/dir probe stat -c %u:%g,%a .", Differs(r"\[0\]\n0:0,755", MISSING_DIRECTORY)),
    outcome("-w relative probe pwd", Differs(r"\[125\]", "Docker refuses the flag, podman the start")),
    outcome("-v ./made/on/host:/x:ro probe ls -d /x"),
    outcome("--mount type=bind,src=./not/there,dst=/x probe true"),
    outcome("-v ./files:relative probe true"),
)

SCENES: Final = (DEFAULTS, *MOUNTS)
