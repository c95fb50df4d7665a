"""What a container may do: capabilities, filters, namespaces, hidden paths, devices."""

from __future__ import annotations

from typing import Final

from tests.conformance.run_case import Case, Differs, inside, sets
from tests.conformance.run_reasons import CAPABILITIES, MASKS, SHM

SETS: Final = "row CapPrm:; row CapEff:; row CapInh:; row CapAmb:; row CapBnd:"
DENIED: Final = r"cat: can't open '/{}': Operation not permitted\n\[1\]"
TRIES: Final = (
    Case("", "mkdir /m; mount -t tmpfs none /m"),
    Case("", "hostname other"),
    Case("", "chroot / true"),
    Case("", "unshare -m true"),
    Case("", "dmesg"),
    Case("", "date -s 2001-01-01 > /dev/null"),
    Case("", "nice -n -5 true"),
    Case("", "ip link add d0 type dummy"),
    Case("", "ip link set lo down"),
    Case("", "ping -c 1 127.0.0.1 | grep -c '1 packets received'", Differs("1", CAPABILITIES)),
    Case("", "mknod /null c 1 3 && echo x > /null && stat -c %t:%T /null", Differs("1:3", CAPABILITIES)),
    Case("", "mknod /mem c 1 1 && cat /mem", Differs(DENIED.format("mem"), CAPABILITIES)),
    Case("", "mknod /loop b 7 0 && cat /loop", Differs(DENIED.format("loop"), CAPABILITIES)),
    Case("", "touch /f; chown 5:6 /f; chmod 6755 /f; stat -c '%u:%g %a' /f"),
    Case("", "swapoff -a; cat /proc/kmsg"),
    Case("", "echo 1 > /proc/sys/kernel/sysrq"),
    Case("", "echo b > /proc/sysrq-trigger"),
    Case("", "echo core > /proc/sys/kernel/core_pattern"),
    Case("", "touch /sys/x; echo 1 > /sys/kernel/mm/ksm/run"),
)

DEFAULTS: Final = inside(
    Case("", SETS, Differs(sets("a80425fb"), CAPABILITIES)),
    Case("", "row Seccomp:"),
    Case("", "cd /dev; for f in *; do [ -c $f ] && stat -c '%n %a %u:%g %t:%T' $f; done"),
    Case("", "for f in core fd ptmx stderr stdin stdout; do readlink /dev/$f; done"),
    Case("", "ls -A /dev"),
    Case("", "for p in acpi kcore keys latency_stats timer_list scsi asound; do at /proc/$p | cut -c1-2; done"),
    Case("", "at /proc/acpi", Differs("ro,.*relatime tmpfs tmpfs ro.*", MASKS)),
    Case("", "at /proc/interrupts", Differs(".* tmpfs tmpfs rw.*", MASKS)),
    Case("", "at /proc/timer_stats; at /proc/sched_debug"),
    Case("", "at /sys/firmware | cut -c1-2; ls /sys/firmware | wc -l"),
    Case("", "wc -c < /proc/kcore; wc -c < /proc/keys"),
    Case("", "for p in bus fs irq sys sysrq-trigger; do at /proc/$p; done"),
    Case("", "for n in cgroup ipc mnt net pid uts; do readlink /proc/self/ns/$n; done | grep -c -e '@ns/ipc@' "
         "-e '@ns/mnt@' -e '@ns/net@' -e '@ns/pid@' -e '@ns/uts@'"),
    Case("", "readlink /proc/self/ns/user | sed 's/@ns/user@/host/'"),
    Case("", "readlink /proc/self/ns/time | sed 's/@ns/time@/host/'"),
    Case("", "readlink /proc/self/ns/cgroup | sed 's/@ns/cgroup@/host/'", Differs(
        "cgroup:.*", "with cgroup version 1 podman and Docker use the host's; a private one tells less of the host",
        on="v1",
    )),
    Case("", "ls /sys/class/net; cat /proc/net/dev | wc -l; ip -o addr | grep -c 127.0.0.1"),
    Case("", "ipcs | grep -c 0x"),
    Case("", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range", Differs(
        "0\n0\t2147483647", "Docker lets any user listen on low ports and ping since 20.10; podman leaves it to flags"
    )),
    Case("", "cat /proc/sys/kernel/shmmax /proc/sys/kernel/msgmax"),
    *TRIES,
)  # fmt: skip

PRIVILEGED: Final = (
    inside(
        Case("--privileged", SETS),
        Case("--privileged", "row Seccomp:; row NoNewPrivs:"),
        Case("--privileged", "at /sys; at /proc/sys; at /proc/kcore; at /sys/firmware"),
        Case("--privileged", "at /sys/fs/cgroup | cut -c1-2"),
        Case("--privileged", "mkdir /m && mount -t tmpfs none /m && echo mounted"),
        Case("--privileged", "ls /dev | grep -c -e loop-control -e kmsg -e mem"),
        Case("--privileged", "mknod /mem c 1 1 && head -c 1 /mem | wc -c"),
        Case("--privileged", "hostname other && hostname"),
        Case("--privileged", "echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward"),
        Case("--privileged", "cg devices/devices.list"),
    ),
    inside(Case("--privileged -u alice", SETS), Case("--privileged -u alice", "id -u; row Seccomp:")),
    inside(Case("--privileged --ipc host", "readlink /proc/self/ns/ipc | sed 's/@ns/ipc@/host/'")),
    inside(Case("--cap-add ALL", SETS), Case("--cap-add ALL", "unshare -m true && hostname a && hostname")),
    inside(
        Case("--cap-add SYS_ADMIN --cap-add net_admin", SETS, Differs(sets("a82435fb"), CAPABILITIES)),
        Case("--cap-add SYS_ADMIN", "mkdir /m && mount -t tmpfs none /m && echo mounted"),
        Case("--cap-add net_admin", "ip link set lo down; ip link set lo mtu 1400; cat /sys/class/net/lo/mtu"),
        Case("--cap-add SYS_ADMIN", "mount -o remount,rw /proc/sys; echo 1 > /proc/sys/kernel/sysrq"),
    ),
    inside(
        Case("--cap-add CAP_SYS_NICE", SETS, Differs(sets("a88425fb"), CAPABILITIES)),
        Case("--cap-add CAP_SYS_NICE", "nice -n -5 nice"),
    ),
    inside(
        Case("--cap-drop NET_RAW --cap-drop mknod", SETS, Differs(sets("a00405fa"), CAPABILITIES)),
        Case("--cap-drop mknod", "mknod /null c 1 3"),
        Case("--cap-drop CHOWN", "touch /f; chown 1 /f"),
    ),
    inside(Case("--cap-drop ALL", SETS), Case("--cap-drop ALL", "touch /tmp/f && chmod 4755 /tmp/f; chown 1 /tmp/f")),
    inside(Case("--cap-drop ALL --cap-add SETUID", SETS)),
    inside(Case("--cap-add ALL --cap-drop SYS_ADMIN --cap-drop MKNOD", SETS)),
    inside(
        Case(
            "--cap-add SYS_PTRACE -u alice",
            SETS,
            Differs(
                "(Cap(Prm|Eff|Inh|Amb):\t0+\n){4}CapBnd:\t00000000a80c25fb",
                "Docker gives a user who isn't root no capabilities in effect; podman gives those that were added",
            ),
        )
    ),
    inside(
        Case("--security-opt no-new-privileges", "row NoNewPrivs:"),
        Case("--security-opt seccomp=unconfined", "row Seccomp:; unshare -U true && echo unshared"),
    ),
    inside(
        Case("--security-opt seccomp=profile.json", "row Seccomp:; mkdir /x"),
        Case("--security-opt seccomp=profile.json", "touch /x && ls /x"),
    ),
    inside(
        Case(
            "--security-opt systempaths=unconfined",
            "at /proc/kcore; at /proc/sys; at /sys/firmware",
            podman="--security-opt unmask=ALL",
        ),
        Case("--security-opt systempaths=unconfined", "at /sys", podman="--security-opt unmask=ALL"),
    ),
    inside(
        Case("--device /dev/zero:/dev/nought:r", "stat -c '%a %u:%g %t:%T' /dev/nought; head -c 3 /dev/nought | wc -c"),
        Case("--device /dev/kmsg:/dev/km:w", "stat -c %t:%T /dev/km; head -c 1 /dev/km"),
        Case("--device-cgroup-rule 'c 42:* rwm'", "mknod /d c 42 7 && cat /d"),
        Case("--device-cgroup-rule 'b 7:1 m'", "mknod /b b 7 1 && cat /b"),
        Case("--cap-add MKNOD", "mknod /e c 42 8 && stat -c %t:%T /e"),
        Case("--device /dev/zero:/dev/nought:r", "cg devices/devices.list | grep -v 5:1 | sort"),
        Case(
            "--device /dev/zero:/dev/nought:r",
            "cg devices/devices.list | grep -c 5:1",
            Differs("1", "Docker allows /dev/console always, podman only with a terminal", on="v1"),
        ),
    ),
    inside(
        Case("--sysctl net.core.somaxconn=321", "cat /proc/sys/net/core/somaxconn"),
        Case("--sysctl net.ipv4.ip_forward=1", "cat /proc/sys/net/ipv4/ip_forward"),
        Case("--sysctl net.ipv4.ip_unprivileged_port_start=80", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
        Case("--sysctl kernel.shmmni=99", "cat /proc/sys/kernel/shmmni"),
        Case("--sysctl kernel.msgmax=4096", "cat /proc/sys/kernel/msgmax"),
        Case("--sysctl fs.mqueue.msg_max=20", "cat /proc/sys/fs/mqueue/msg_max"),
    ),
    inside(Case("--ipc none", "ls /dev/shm; at /dev/shm"), Case("--ipc none", "at /dev/mqueue")),
    inside(
        Case("--ipc private", "at /dev/shm", Differs(".*size=65536k", SHM)),
        Case("--cgroupns private", "cut -d: -f3 /proc/self/cgroup | sort -u"),
    ),
    inside(Case("--cgroupns host", "readlink /proc/self/ns/cgroup | sed 's/@ns/cgroup@/host/'")),
)

SCENES: Final = (DEFAULTS, *PRIVILEGED)
