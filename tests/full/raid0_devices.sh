#!/bin/sh
# Two loop devices of a limited rate each, for raid0_test.cpp, and file systems on them. They lie in
# memory: members over one disk would not be independent, and each has a limit (blkio throttle of a
# control group that process $3 is put into) far below what the processors can copy.
#
# usage: raid0_devices.sh FOLDER BYTES_PER_S PROCESS
# Reads commands, answers each with a line: "alone" with the two mount points, "array" with one of
# a btrfs RAID0 over both, "free" when the limits are gone; or "no: REASON". At the end of its input, that is when the process that
# started it has ended in whatever way, everything that it made goes.
# shellcheck disable=SC2015  # the last of each chain does not fail
set -u
trap '' INT TERM HUP
folder=$1 rate=$2 process=$3
loops='' group=''

unmount() {
  for mount in a b array; do
    mountpoint -q "$folder/$mount" 2>/dev/null && umount "$folder/$mount" 2>/dev/null
  done
}

clean() {
  # The bench's files go with the process: until then the file systems are busy.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    unmount
    grep -q " $folder/" /proc/self/mounts || break
    sleep 0.2
  done
  for loop in $loops; do losetup -d "$loop"; done
  if [ -n "$group" ]; then
    while read -r member; do echo "$member" >"${group%/*}/cgroup.procs"; done <"$group/cgroup.procs"
    rmdir "$group"
  fi
  rm -f "$folder/a.img" "$folder/b.img"
  rmdir "$folder/a" "$folder/b" "$folder/array" "$folder"
} 2>/dev/null
trap clean EXIT

refuse() {
  echo "no: $1"
  exit 0
}

limit() { # DEVICE RATE
  number=$(lsblk -dno MAJ:MIN "$1" | tr -d ' ')
  if [ -e "$group/blkio.throttle.read_bps_device" ]; then
    echo "$number $2" >"$group/blkio.throttle.read_bps_device" &&
      echo "$number $2" >"$group/blkio.throttle.write_bps_device"
  else
    most=$2
    [ "$most" = 0 ] && most=max
    echo "$number rbps=$most wbps=$most" >"$group/io.max"
  fi
}

prepare() {
  [ "$(id -u)" = 0 ] || refuse "not root"
  command -v mkfs.btrfs losetup lsblk >/dev/null || refuse "no mkfs.btrfs, losetup or lsblk"
  grep -qw btrfs /proc/filesystems || refuse "the kernel has no btrfs"
  mkdir -p "$folder/a" "$folder/b" "$folder/array" || refuse "cannot write to $folder"
  for parent in /sys/fs/cgroup/blkio /sys/fs/cgroup; do
    grep -qsw io "$parent/cgroup.subtree_control" || [ -d "$parent/../blkio" ] || continue
    mkdir "$parent/kvsim-raid0-$process" 2>/dev/null || continue
    group=$parent/kvsim-raid0-$process
    break
  done
  [ -n "$group" ] || refuse "no control group that limits disks"
  echo "$process" >"$group/cgroup.procs" || refuse "cannot limit process $process"
  for member in a b; do
    truncate -s 640M "$folder/$member.img"
    loop=$(losetup -f --show "$folder/$member.img") || refuse "no loop devices"
    loops="$loops $loop"
    limit "$loop" "$rate" || refuse "cannot limit $loop"
  done
} 2>/dev/null

# Without sums and copies on write: direct requests go to the device as they are.
options=noatime,nodatasum,nodatacow
ready=''
while read -r command; do
  if [ -z "$ready" ]; then
    prepare
    ready=yes
    # shellcheck disable=SC2086  # two words
    set -- $loops
  fi
  [ "$command" = free ] || unmount
  case $command in
    free)
      limit "$1" 0 && limit "$2" 0 && echo free || refuse "cannot take the limits away"
      ;;
    alone)
      for pair in "a $1" "b $2"; do
        mkfs.btrfs -q -f -m single "${pair#* }" >/dev/null 2>&1 &&
          mount -o $options "${pair#* }" "$folder/${pair% *}" || refuse "cannot make a file system"
      done
      echo "$folder/a $folder/b"
      ;;
    array)
      mkfs.btrfs -q -f -d raid0 -m raid0 "$1" "$2" >/dev/null 2>&1 &&
        mount -o $options "$1" "$folder/array" || refuse "cannot make an array"
      echo "$folder/array"
      ;;
  esac
done
