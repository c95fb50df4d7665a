"""What a container's first process is: identity, environment, limits, signals, terminal, exit."""

from __future__ import annotations

from typing import Final

from tests.conformance.run_case import Case, Differs, inside, outcome
from tests.conformance.run_reasons import ACCOUNTS, CAPABILITIES, GROUPS

DEFAULTS: Final = inside(
    Case("", "readlink /proc/1/exe; cat /proc/1/comm"),
    Case("", "tr '\\0' ' ' < /proc/1/cmdline | cut -c1-6"),
    Case("", "row PPid: /proc/1/status"),
    Case("", "row Uid:; row Gid:"),
    Case("", "row Groups:", Differs(r"Groups:\t0", GROUPS)),
    Case("", "id", Differs(r"uid=0\(root\) gid=0\(root\) groups=0\(root\)", GROUPS)),
    Case("", "pwd; readlink /proc/1/cwd; readlink /proc/1/root"),
    Case(
        "",
        "env | sort",
        Differs(
            "A=image\nB=image\nHOME=/root\nHOSTNAME=SHORT-ID\nPATH=\\S+\nPWD=/\nSHLVL=1",
            "podman sets TERM, which Docker does for a terminal only, and container=podman",
        ),
    ),
    Case("", "echo $HOME $PATH"),
    Case("", "umask; row Umask: /proc/1/status"),
    Case("", "row SigBlk: /proc/1/status; row SigIgn: /proc/1/status | cut -c18-"),  # without those of the C library
    Case("", "ls /proc/1/fd | wc -l"),
    Case("", "readlink /proc/1/fd/0"),
    Case("", "cat | wc -c"),
    Case("", "tty"),
    Case("", "cut -d' ' -f5-8 /proc/1/stat"),
    Case("", "cut -d' ' -f18,19,40,41 /proc/1/stat"),
    Case("", "cat /proc/1/oom_score_adj"),
    Case("", "cat /proc/1/loginuid; echo; cat /proc/1/personality"),
    Case("", "row NoNewPrivs:"),
    Case("", "cat /proc/1/timerslack_ns"),
    Case("", "cat /proc/1/coredump_filter"),
    Case("", "row 'Max core' /proc/1/limits; row 'Max stack' /proc/1/limits; row 'Max locked' /proc/1/limits"),
    Case("", "row Speculation; row THP"),
    Case("", "hostname | wc -c; [ $(hostname) = $HOSTNAME ] && echo same"),
    Case("", "cat /proc/sys/kernel/domainname"),
    Case("", "cat /proc/1/setgroups /proc/1/uid_map"),
    Case("", "cat /proc/1/autogroup | cut -c1-11"),
    Case("", "cat /proc/1/timens_offsets"),
)

USERS: Final = (
    inside(
        Case("-u alice", "id; echo $HOME"),
        Case("-u alice", "row Groups:"),
        Case("-u alice", "row CapPrm:; row CapEff:; row CapInh:; row CapAmb:"),
        Case("-u alice", "row CapBnd:", Differs("CapBnd:\t00000000a80425fb", CAPABILITIES)),
        Case("-u alice", "ls -ld /proc/self/fd | cut -c1-10; stat -c %u:%g /proc/self"),
        Case("-u alice", "touch /x; echo x > /dev/null; echo y > /dev/stdout"),
        Case("-u alice", "touch /dev/shm/x /dev/mqueue/x && stat -c '%n %u:%g' /dev/shm/x"),
        Case("-u alice", "pwd; cd /root; echo $?"),
    ),
    inside(
        Case("-e HOME=/else", "echo $HOME"),
        Case("-u alice -w /t", "id -u; pwd; stat -c %u:%g ."),
    ),
    inside(Case("-u 1000", "id; echo $HOME"), Case("-u 1000", "row Groups:")),
    inside(
        Case("-u 4242", "id; echo $HOME", Differs(r"uid=4242 gid=0\(root\) groups=0\(root\)\n/", ACCOUNTS)),
        Case("-u 4242", "row Groups:"),
    ),
    inside(
        Case("-u 4242:4343", "id; echo $HOME", Differs(r"uid=4242 gid=4343 groups=4343\n/", ACCOUNTS)),
        Case("-u 4242:4343", "row Groups:"),
    ),
    inside(Case("-u :44", "id; echo $HOME"), Case("-u :44", "row Groups:")),
    inside(
        Case("-u alice:video", "id; row Groups:"),
        Case("--group-add 77", "row Groups:"),
    ),
    inside(
        Case("--group-add audio", "row Groups:", Differs(r"Groups:\t0 29 1234", GROUPS)),
        Case("--group-add 1234", "id -G"),
    ),
    inside(Case("", "id; pwd; echo $HOME; stat -c %u:%g ."), image="user"),
    inside(Case("-u root", "id; pwd; echo $HOME"), image="user"),
    inside(Case("-w /home/alice", "pwd; touch x; stat -c %u:%g ."), image="user"),
)

ENVIRONMENT: Final = (
    inside(
        Case("-e A=1", "echo $A"),
        Case(
            "-e B",
            "echo ${B-unset}",
            Differs("unset", "the caller has no B: Docker takes the image's away, podman leaves it"),
        ),
        Case("-e EMPTY=", "echo [${EMPTY-unset}]"),
        Case("-e FROM_HERE", "echo $FROM_HERE"),
        Case("-e 'SPACE= a  b '", 'echo "[$SPACE]"'),
        Case("-e EQUALS=a=b=c", "echo $EQUALS"),
        Case("-e PATH=/bin:/t", "echo $PATH"),
        Case("-e TERM=dumb", "echo $TERM"),
        Case("-e X=1 -e X=2", "echo $X; env | grep -c ^X="),
        Case("--env-file variables", "echo [$FOO] [$QUOTED] [$FROM_HERE] [${NOT_HERE-}]"),
        Case("-e HOSTNAME=mine", "echo $HOSTNAME; hostname | wc -c"),
    ),
    inside(
        Case("-h web", "hostname; echo $HOSTNAME; cat /proc/sys/kernel/hostname"),
        Case("-h web", "cat /etc/hostname"),
        Case(
            "-h web",
            "grep -c web /etc/hosts",
            Differs(
                r"0\n\[1\]", "without a network Docker has no address to write beside the name; podman writes 127.0.0.1"
            ),
        ),
    ),
    inside(
        Case("-h a.example.org", "hostname; cat /etc/hostname"),
        Case("-h a.example.org", "hostname -s"),
        Case(
            "-h a.example.org",
            "hostname -f",
            Differs(
                r"hostname: a.example.org: Host name lookup failure\n\[1\]", "podman has the name in /etc/hosts even so"
            ),
        ),
    ),
    inside(
        Case("--uts host", "readlink /proc/self/ns/uts | sed 's/@ns/uts@/host/'"),
        Case("--pid host", "readlink /proc/self/ns/pid | sed 's/@ns/pid@/host/'"),
        Case("--ipc host", "readlink /proc/self/ns/ipc | sed 's/@ns/ipc@/host/'"),
    ),
)

LIMITS: Final = inside(
    Case("--ulimit core=1024", "row 'Max core'  /proc/self/limits"),
    Case("--ulimit cpu=100:200", "row 'Max cpu' /proc/self/limits"),
    Case("--ulimit data=104857600", "row 'Max data' /proc/self/limits"),
    Case("--ulimit fsize=1048576", "row 'Max file size' /proc/self/limits"),
    Case("--ulimit locks=10", "row 'Max file locks' /proc/self/limits"),
    Case("--ulimit memlock=65536:131072", "row 'Max locked' /proc/self/limits"),
    Case("--ulimit msgqueue=1000", "row 'Max msgqueue' /proc/self/limits"),
    Case("--ulimit nofile=100:200", "row 'Max open' /proc/self/limits; ulimit -n; ulimit -Hn"),
    Case("--ulimit nproc=300:400", "row 'Max processes' /proc/self/limits"),
    Case("--ulimit rss=1000000", "row 'Max resident' /proc/self/limits"),
    Case("--ulimit sigpending=50", "row 'Max pending' /proc/self/limits"),
    Case("--ulimit stack=4194304", "row 'Max stack' /proc/self/limits"),
    Case("--oom-score-adj 250", "cat /proc/self/oom_score_adj /proc/1/oom_score_adj"),
)

EXITS: Final = (
    outcome("probe sh -c 'echo out; echo err >&2; exit 3'"),
    outcome("probe sh -c 'kill -9 $$; echo alive'"),
    outcome("probe sh -c 'kill -TERM $$; echo alive'"),
    outcome("probe sh -c 'sh -c \"kill -TERM \\$\\$\"; echo $?'"),
    outcome("--init probe sh -c 'kill -9 $$; echo alive'"),
    outcome("--init probe sh -c 'kill -TERM $$; echo alive'"),
    outcome("--init probe sh -c 'exit 7'"),
    outcome("--init probe sh -c '(sleep 0.01 &) ; echo $PPID; cat /proc/1/comm | wc -w'"),
    outcome("probe no-such-program"),
    outcome("probe /t/noexec"),
    outcome("probe /t"),
    outcome("-u alice probe /t/noexec"),
    outcome("--entrypoint echo entry a b"),
    outcome("--entrypoint '' entry echo plain"),
    outcome("entry a b"),
    outcome("entry"),
    outcome("probe"),
    outcome("user"),
    outcome("bare /script"),
    outcome("-i probe cat"),
    outcome("probe cat"),
    outcome("-a stdout probe sh -c 'echo out; echo err >&2'"),
    outcome("-a stderr probe sh -c 'echo out; echo err >&2'"),
    outcome("-t probe sh -c 'tty; echo out; echo err >&2; echo $TERM'"),
    outcome("-t probe sh -c 'stat -c %u:%g,%a,%t:%T /dev/pts/0 /dev/console; ls /dev/pts'"),
    outcome('-t probe sh -c \'cut -d" " -f5,6,7 /proc/1/stat; stty -a | grep -o -e " echo " -e opost -e icanon\''),
    outcome("-t -e TERM=vt100 probe sh -c 'echo $TERM; readlink /proc/self/fd/0; readlink /proc/self/fd/2'"),
    outcome("-t -u alice probe sh -c 'stat -c %u:%g,%a $(tty)'"),
    outcome("-t probe stty size"),
)

SCENES: Final = (DEFAULTS, *USERS, *ENVIRONMENT, LIMITS, *EXITS)
