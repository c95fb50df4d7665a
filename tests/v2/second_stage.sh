#!/bin/bash
# Process 1: mounts the rest, delegates a cgroup to the job, runs it, and ends the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
job=/run/job
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sfn /proc/self/fd /dev/fd
hostname v2
ip link set lo up
version=$(<$job/version)
mkdir -p "/lib/modules/$version"
mount --bind "/usr/lib/uml/modules/$version" "/lib/modules/$version"
modprobe -qa tun fuse # others the kernel loads by itself when they are asked for
mount -o noatime /dev/ubda /scratch
mkdir -m 1777 /scratch/tmp

cgroups=/sys/fs/cgroup
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 $cgroups
mkdir -p $cgroups/init.scope $cgroups/tests.slice/job.scope
echo $$ >$cgroups/init.scope/cgroup.procs
for group in $cgroups $cgroups/tests.slice; do
    for controller in $(<$group/cgroup.controllers); do echo "+$controller" >"$group/cgroup.subtree_control"; done
done

# The serial line is the job's output, behind a pipe: the job sees no terminal.
stty -F /dev/ttyS0 raw -echo
mkfifo /run/output
cat <>/run/output >/dev/ttyS0 &
pump=$!
(
    echo $BASHPID >$cgroups/tests.slice/job.scope/cgroup.procs
    export TMPDIR=/scratch/tmp
    ulimit -Hn 1048576
    exec bash $job/command </dev/null
) >/run/output 2>&1
status=$?
sync
sleep 0.2
kill $pump
echo $status >$job/status.new
mv $job/status.new $job/status
exec busybox poweroff -f
