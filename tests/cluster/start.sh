#!/bin/sh
# Starts HTCondor in the folder $1 and stays until its input ends; prints its process id when it can
# be entered. The other words are folders and files that are seen inside at the same path: ro PATH,
# rw PATH. This is the first process of its namespaces: when it ends, so do all others, and nothing
# stays mounted.
set -eu
read -r pid _ </proc/self/stat # as it is seen from outside
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
while [ $# -gt 0 ]; do
  inside=$root$2
  if [ -d "$2" ]; then
    mkdir -p "$inside"
  elif [ ! -e "$inside" ]; then
    mkdir -p "$(dirname "$inside")"
    : >"$inside"
  fi
  mount --bind "$2" "$inside"
  if [ "$1" = ro ]; then mount -o remount,bind,ro "$inside"; fi
  shift 2
done
cd "$root"
for folder in run/condor run/lock/condor var/log/condor var/spool/condor var/lib/condor/execute; do
  rm -rf "$folder" # what an earlier pool left
  mkdir -p "$folder"
  chroot . chown condor: "/$folder"
done
chroot . condor_master </dev/null >var/log/condor/start 2>&1
# Only now is the root of this process the one that others are to enter.
exec chroot . sh -c 'echo "$1" && read -r _' sh "$pid"
