#!/bin/sh
# Makes the machine of the pool in the folder $1: Debian with HTCondor, and the user $2 of id $3.
# Whatever is mounted or started meanwhile ends with this script: it runs in namespaces of its own.
set -eu
debootstrap --variant=minbase --include=python3,ca-certificates trixie "$1"
mount -t proc proc "$1/proc"
export DEBIAN_FRONTEND=noninteractive
chroot "$1" apt-get update
chroot "$1" apt-get install --yes --no-install-recommends minicondor
chroot "$1" apt-get clean
chroot "$1" useradd --create-home --uid "$3" "$2"
chmod 711 "$1/root" # pythons may lie below it
