#!/bin/busybox sh
# Mounts the host's files, with a layer in memory over them, and goes on there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
while read -r module; do $B insmod "/modules/$module"; done </modules/order
job=$($B sed -n 's/.*job=\([^ ]*\).*/\1/p' /proc/cmdline)
$B mount -t hostfs -o / none /host
$B mount -o remount,ro /host
$B mount -t tmpfs -o mode=755,size=85% own /own
$B mkdir -p /own/upper /own/work
$B mount -t overlay -o lowerdir=/host,upperdir=/own/upper,workdir=/own/work root /newroot || $B poweroff -f
$B mkdir -p /newroot/scratch
$B mount -t tmpfs -o mode=755 run /newroot/run
$B mkdir /newroot/run/job
$B mount -t hostfs -o "$job" none /newroot/run/job || $B poweroff -f
for directory in dev proc sys; do $B mount --move /$directory /newroot/$directory; done
exec $B switch_root /newroot /bin/bash /run/job/second_stage.sh
