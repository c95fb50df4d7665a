"""What becomes of a container: exec, signals, stop, pause, logs, and what inspect tells."""

from __future__ import annotations

from typing import Final

from tests.conformance.run_case import Case, Differs, story, told, within
from tests.conformance.run_reasons import GROUPS

STARTED: Final = r"\[0\]\nID\n\n"
_SLEEP: Final = "run -d FLAGS probe sleep 60"
_TRAP: Final = (
    "run -d FLAGS probe sh -c 'trap \"echo caught; exit 9\" TERM INT USR1 HUP; echo on; while :; do sleep 0.05; done'"
)
_STATUS: Final = "inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}' it"

EXEC: Final = (
    within(
        "",
        Case("", "exec it sh -c 'id -u; pwd; exit 3'"),
        Case("", "exec -u alice -w /t -e K=v it sh -c 'id; pwd; echo $K $HOME'", Differs(
            r"\[0\]\n.*groups=29.audio.,1000.alice.\n/t\nv /home/alice", GROUPS
        )),
        Case("", "exec -u 4242:44 it sh -c 'grep -e Groups -e CapEff -e CapPrm /proc/self/status'", Differs(
            r"\[0\]\nGroups:\t44 \nCapPrm:\t0+\nCapEff:\t0+", GROUPS
        )),
        Case("", "exec it sh -c 'grep -e NoNewPrivs -e Seccomp: /proc/self/status; cat /proc/self/oom_score_adj'"),
        Case("", "exec --privileged it grep -e CapBnd -e CapEff -e Seccomp: /proc/self/status"),
        Case("", "exec -i it cat"),
        Case("", "exec it cat"),
        Case("", "exec -t it sh -c 'tty; echo out; echo err >&2; echo $TERM'"),
        Case("", "exec it sh -c 'echo out; echo err >&2'"),
        Case("", "exec it no-such-program"),
        Case("", "exec it /t/noexec"),
        Case("", "exec it sh -c 'exit 200'"),
        Case("", "exec it sh -c 'kill -9 $$'"),
        Case("", "exec it sh -c 'kill -TERM $$'"),
        Case("", "exec -d it touch /marked", Differs(r"\[0\]", "podman prints an ID of what it started")),
        Case("", "exec it sh -c 'while [ ! -e /marked ]; do sleep 0.05; done; echo there'"),
        Case("", "exec -w /no/such/dir it true", Differs(
            r"\[126\]", "Docker's status is 126, podman's 127"
        )),
        Case("", "exec -u nobody-here it true", Differs(
            r"\[126\]", "Docker's status is 126, podman's 255"
        )),
        Case("", "exec it sh -c 'tr \"\\0\" \" \" < /proc/1/cmdline; readlink /proc/self/cwd'"),
        Case("", "exec -e K it sh -c 'echo ${K-unset}'"),
        Case("", "exec -e B it sh -c 'echo ${B-unset}'", Differs(
            r"\[0\]\nunset", "the caller has no B: Docker takes the container's away, podman leaves it"
        )),
        Case("", "rm it", Differs(r"\[1\]\nstderr: dockmagic: .*it is running.*", "Docker's status is 1, podman's 2")),
        Case("", "rename it other"),
        Case("", "rename other it"),
        Case("", "inspect -f '{{.Name}}' it", Differs(r"\[0\]\n/it", "Docker's names begin with a slash")),
        Case("", "pause it"),
        Case("", _STATUS),
        Case("", "exec it echo on", Differs(
            r"\[1\]\nstderr: .* is paused, unpause the container before exec", "Docker's status is 1, podman's 255"
        )),
        Case("", "unpause it"),
        Case("", "exec it echo on"),
        Case("", "kill it"),
        Case("", "wait it"),
        Case("", _STATUS),
    ),
    within(
        "-u alice -w /t -e K=v --oom-score-adj 300 --ulimit core=7 --security-opt no-new-privileges",
        Case("-u alice -w /t -e K=v", "exec it sh -c 'id -u; pwd; echo $K $HOME'"),
        Case("--oom-score-adj 300 --ulimit core=7", "exec it sh -c 'cat /proc/self/oom_score_adj; ulimit -c'"),
        Case("--security-opt no-new-privileges", "exec it grep NoNewPrivs /proc/self/status"),
    ),
    within("--cap-drop ALL", Case("--cap-drop ALL", "exec it grep Cap /proc/self/status")),
    story(
        "", "create FLAGS probe true", "exec it true",
        differs=Differs(f"{STARTED}\\[1\\]\nstderr: dockmagic: .* not running.*", "Docker's status is 1, podman's 255"),
    ),
)  # fmt: skip

ENDS: Final = (
    story("", _TRAP, "stop it", _STATUS, "logs it"),
    story("--stop-signal INT", _TRAP, "stop it", _STATUS),
    story("--stop-signal USR1", _TRAP, "stop it", _STATUS),
    story("", _SLEEP, "stop -t 0 it", _STATUS),
    story("--stop-timeout 0", _SLEEP, "stop it", _STATUS),
    story("--stop-signal KILL", _SLEEP, "stop it", _STATUS),
    story("", _TRAP, "kill -s HUP it", "wait it", "logs it"),
    story("", _TRAP, "kill -s USR1 it", "wait it"),
    story("--init", _SLEEP, "stop it", _STATUS),
    story("--init", _SLEEP, "kill -s TERM it", "wait it"),
    story("", "run -d FLAGS probe sh -c 'exit 42'", "wait it", _STATUS),
    story("", "create FLAGS probe sh -c 'exit 5'", _STATUS, "start -a it", _STATUS),
    story("", "create -i FLAGS probe cat", "start -ai it"),
    story(
        "-m 16m",
        "run -d FLAGS probe tail -c 40m /dev/zero",
        "wait it",
        _STATUS,
        differs=Differs(
            f"{STARTED}\\[0\\]\n137\n\n\\[0\\]\nexited 137 true", "podman misses it where the container ends with it"
        ),
    ),
    story(
        "",
        "run FLAGS probe no-such-program",
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' it",
        differs=Differs(r"\[127\]\n\[0\]\ncreated 127", "podman keeps no status of a container that didn't start"),
    ),
    story("", _SLEEP, "restart -t 0 it", _STATUS, "exec it sh -c 'echo alive'"),
    story("", "run FLAGS probe sh -c 'echo $RANDOM > /kept'", "start it", "wait it", "start -a it"),
)

IPC: Final = "podman 4.3 says shareable of every mode; Docker's default is private"

LOGS: Final = (
    story("", "run FLAGS probe sh -c 'echo out; echo err >&2; printf unfinished'", "logs it"),
    story("", "run FLAGS probe sh -c 'for i in 1 2 3 4; do echo $i; done'", "logs --tail 2 it", "logs --tail 0 it"),
    story("-t", "run FLAGS probe sh -c 'echo out; echo err >&2'", "logs it"),
    story("", "run -d FLAGS probe sh -c 'for i in 1 2 3; do echo $i; sleep 0.05; done'", "logs -f it"),
    story(
        "--log-driver none",
        "run FLAGS probe echo out",
        "logs it",
        differs=Differs(r"\[0\]\nout\n\n\[1\]\nstderr: dockmagic: configured logging driver.*", "Docker's status is 1"),
    ),
    story("-a stdout", "run FLAGS probe sh -c 'echo out; echo err >&2'", "logs it"),
)


TOLD: Final = (
    told(
        Case("", "{{.State.Status}} {{.State.Running}} {{.State.Pid}} {{.State.ExitCode}}"),
        Case("-l a=b --label c", "{{.Config.Labels.a}} {{json .Config.Labels.c}}"),
        Case("--label-file labels", "{{json .Config.Labels}}"),
        Case("-e K=v", "{{json .Config.Env}}", Differs(
            r'\["K=v","PATH=.*","A=image","B=image"\]', "podman tells of variables that it adds, too"
        )),
        Case("-h web", "{{.Config.Hostname}}"),
        Case("-u alice -w /t", "{{.Config.User}} {{.Config.WorkingDir}}"),
        Case("", "{{json .Config.Cmd}} {{.Path}}"),
        Case("", "{{json .Config.Entrypoint}} {{json .Args}}", Differs(
            r"null \[\]", "podman's entrypoint is a text, and the command an argument of itself"
        )),
        Case("-t", "{{.Config.Tty}}"),
        Case("-i", "{{.Config.OpenStdin}}"),
        Case("-i", "{{.Config.AttachStdout}} {{.Config.StdinOnce}}", Differs(
            "true true", "for podman nothing is attached before the start"
        )),
        Case("--stop-signal USR1", "{{.Config.StopSignal}}", Differs("USR1", "podman tells the number")),
        Case("-m 64m", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.MemoryReservation}}"),
        Case("-c 512 --cpuset-cpus 0", "{{.HostConfig.CpuShares}} {{.HostConfig.CpusetCpus}}"),
        Case("--pids-limit 50 --shm-size 1m", "{{.HostConfig.PidsLimit}} {{.HostConfig.ShmSize}}"),
        Case("--cpus 0.5", "{{.HostConfig.NanoCpus}}"),
        Case("--cpus 0.5", "{{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}}", Differs(
            "0 0", "podman tells period and quota that come of it, too"
        )),
        Case("--oom-score-adj 5 --rm", "{{.HostConfig.OomScoreAdj}} {{.HostConfig.AutoRemove}}"),
        Case("", "{{.HostConfig.NetworkMode}}"),
        Case("", "{{json .HostConfig.UTSMode}}", Differs('""', "podman says private where Docker says nothing")),
        Case("", "{{.HostConfig.IpcMode}}", Differs("private", IPC)),
        Case("--cap-add SYS_TIME", "{{json .HostConfig.CapAdd}}"),
        Case("--cap-drop KILL", "{{json .HostConfig.CapDrop}}", Differs(
            r'\["CAP_KILL"\]', "podman tells of Docker's defaults as dropped, too"
        )),
        Case("--group-add audio", "{{json .HostConfig.GroupAdd}}"),
        Case("--tmpfs /s:size=1m", "{{json .HostConfig.Tmpfs}}", Differs(
            '{"/s":".*size=1048576.*"}',
            "podman tells of its defaults, too; Docker of what was given, as dockmagic but for sizes in bytes",
        )),
        Case("-v named:/n:ro", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}} {{.Driver}}{{end}}"),
        Case("--ulimit core=1:2", "{{range .HostConfig.Ulimits}}{{.Name}} {{.Soft}} {{.Hard}};{{end}}", Differs(
            "core 1 2;", "podman has other names, and tells of limits that it was given for this host"
        )),
        Case("--device /dev/zero:/dev/n:r", "{{range .HostConfig.Devices}}{{.PathOnHost}} {{.PathInContainer}}{{end}}"),
        Case("--device /dev/zero:/dev/n:r", "{{range .HostConfig.Devices}}{{.CgroupPermissions}}{{end}}", Differs(
            "r", "podman's inspect leaves the access out"
        )),
        Case("--security-opt no-new-privileges", "{{json .HostConfig.SecurityOpt}}"),
        Case("", "{{.Name}} {{.Driver}}", Differs("/it overlay2", "Docker has other names for them")),
        Case("", "{{.RestartCount}}"),
    ),
    told(
        Case("--entrypoint echo", "{{.Path}} {{json .Args}}"),
        Case("--entrypoint echo", "{{json .Config.Entrypoint}}", Differs(
            r'\["echo"\]', "podman's entrypoint is a text, Docker's a list"
        )),
        Case("--read-only --privileged", "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}}"),
        Case("--pid host --uts host", "{{.HostConfig.PidMode}} {{.HostConfig.UTSMode}}"),
        Case("--ipc host", "{{.HostConfig.IpcMode}}", Differs("host", IPC)),
        Case("-v ./files:/b", "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{.Propagation}}{{end}}"),
    ),
    told(Case("--init", "{{.HostConfig.Init}}")),
    told(Case("--domainname d.org", "{{.Config.Domainname}}", Differs("d.org", "podman has no --domainname"))),
    told(Case("--sysctl net.core.somaxconn=99", "{{json .HostConfig.Sysctls}}", Differs(
        '{"net.core.somaxconn":"99"}', "podman's inspect doesn't tell"
    ))),
    told(Case("", "{{.Platform}}", Differs("linux", "podman's inspect doesn't tell"))),
)  # fmt: skip

SCENES: Final = (*EXEC, *ENDS, *LOGS, *TOLD)
