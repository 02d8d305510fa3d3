#!/usr/bin/env bash
# debian-trim.sh ROOT: run by mmdebstrap when all packages are in. Takes out what a build does not need and what would
# differ from one run to the next or tell where the packages came from; puts in what a build or run image has.
set -euo pipefail

root=$1
rm -rf "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/log/* "$root"/var/cache/{apt,debconf,ldconfig}/*
rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/apt.conf.d/99mmdebstrap \
  "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/{hostname,resolv.conf,hosts}
# Java's certificate store holds the time of its making. The maven buildpack makes one from the PEM file beside it.
rm -f "$root"/etc/ssl/certs/java/cacerts
# A class archive for heaps over 32 GB
rm -f "$root"/usr/lib/jvm/*/lib/server/classes_nocoops.jsa

echo 'cnb:x:1000:1000::/home/cnb:/bin/bash' >>"$root/etc/passwd"
echo 'cnb:x:1000:' >>"$root/etc/group"
mkdir -p "$root"/{cnb,platform,workspace,layers,home/cnb}
chown 1000:1000 "$root"/{workspace,layers,home/cnb}
