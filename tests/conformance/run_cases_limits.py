"""What a container may use, as its cgroup has it; the files' names are those of cgroup versions 1 and 2."""

from __future__ import annotations

from typing import Final

from tests.conformance.run_case import Case, Differs, inside, outcome, story

OOM: Final = "dockmagic says why the process was killed; Docker and podman say it in inspect only"
_MEMORY: Final = "cg memory/memory.limit_in_bytes memory.max"
_SWAP: Final = "cg memory/memory.memsw.limit_in_bytes memory.swap.max"
_QUOTA: Final = "cg cpu/cpu.cfs_quota_us cpu.max; cg cpu/cpu.cfs_period_us"
_SHARES: Final = "cg cpu/cpu.shares cpu.weight"
_PIDS: Final = "cg pids/pids.max pids.max"
_LIMIT_FILES: Final = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max pids/pids.max pids.max; true"

SCENES: Final = (
    inside(
        Case("", _MEMORY),
        Case("", _QUOTA),
        Case("", _SHARES),
        Case("", _PIDS, Differs("max", "podman limits every container to 2048 processes")),
        Case("", "cg memory/memory.use_hierarchy; cg memory/memory.swappiness"),
        Case("", "cg memory/memory.oom_control | head -n 1"),
        Case("", "cg cpuset/cpuset.cpus cpuset.cpus.effective; nproc"),
        Case(
            "",
            "cut -d: -f3 /proc/self/cgroup | sort -u",
            Differs(
                "/", "with cgroup version 1 podman and Docker use the host's namespace, and so show its groups", on="v1"
            ),
        ),
        Case("", "mkdir /sys/fs/cgroup/pids/x; echo 1 > /sys/fs/cgroup/pids/pids.max"),
    ),
    inside(
        Case("-m 64m", _MEMORY),
        Case("-m 64m", _SWAP),
        Case("--memory-reservation 32m", "cg memory/memory.soft_limit_in_bytes memory.low"),
        Case("--memory-swappiness 30", "cg memory/memory.swappiness"),
        Case("--cpus 0.5", _QUOTA),
        Case("--cpu-shares 512", _SHARES),
        Case("--cpuset-cpus 0", "cg cpuset/cpuset.cpus cpuset.cpus; nproc"),
        Case("--cpuset-mems 0", "cg cpuset/cpuset.mems cpuset.mems"),
        Case("--pids-limit 50", _PIDS),
        Case("--cpuset-cpus 0", "row Cpus_allowed_list:; row Mems_allowed_list:"),
    ),
    inside(
        Case("-m 64m --memory-swap 128m", _SWAP),
        Case("--cpu-period 50000 --cpu-quota 25000", _QUOTA),
        Case("--cpu-shares 2", _SHARES),
        Case("--pids-limit -1", _PIDS),
    ),
    inside(Case("-m 64m --memory-swap -1", _SWAP), Case("--cpu-shares 262144", _SHARES), Case("--pids-limit 0", _PIDS)),
    inside(
        Case("-m 64m --memory-swap 64m", _SWAP),
        Case("--oom-kill-disable", "cg memory/memory.oom_control | head -n 1"),
        Case("--cpus 1.5", _QUOTA),
        Case("--cpu-shares 0", _SHARES),
    ),
    inside(Case("--cpu-quota 25000", _QUOTA), Case("--memory-reservation 32m", _MEMORY)),
    outcome(
        "-m 16m probe sh -c 'tail -c 40m /dev/zero; echo $?'",
        Differs(r"\[0\]\n137\n\nstderr: Killed\ndockmagic: .*OOM-killed at 16MiB.*", OOM),
    ),
    outcome("-m 16m probe tail -c 40m /dev/zero", Differs(r"\[137\]\nstderr: dockmagic: .*OOM-killed at 16MiB.*", OOM)),
    outcome("--pids-limit 8 probe sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done'"),
    outcome("--ulimit nofile=20:20 probe sh -c 'ulimit -n 21'"),
    outcome("--ulimit fsize=1024 probe sh -c 'head -c 4096 /dev/zero > /x; echo $?; wc -c < /x'"),
    outcome("--ulimit cpu=1:1 probe sh -c 'sh -c \"while :; do :; done\"; echo $?'"),
    outcome("--shm-size 1m probe sh -c 'head -c 2m /dev/zero > /dev/shm/x; wc -c < /dev/shm/x'"),
    outcome("--tmpfs /s:size=1m probe sh -c 'head -c 2m /dev/zero > /s/x; wc -c < /s/x'"),
    story(
        "-m 64m --pids-limit 50",
        "run -d FLAGS probe sleep 60",
        "update -m 32m --memory-swap 64m it",
        f"exec it sh -c '{{ {_LIMIT_FILES}; }} 2> /dev/null'",
        differs=Differs(r"\[0\]\nID\n\n\[0\]\nit\n\n\[0\]\n33554432\n50", "podman's update prints the whole ID"),
    ),
)
