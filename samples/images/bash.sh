#!/usr/bin/env bash
# Sourced. The smallest base that runs a buildpack written in bash: the machine's own bash and coreutils with the
# libraries that they load, 4 MB as an image and made in a moment.

programs=(bash env ls cat cp mv rm mkdir ln id stat touch chmod chown sleep mktemp sha256sum tar gzip sed grep find
  head tail wc sort tr cut tee date readlink dirname basename uname)

# bash_programs: their paths; the system's own, whatever else the caller has in PATH
bash_programs() {
  PATH=/usr/sbin:/usr/bin:/sbin:/bin type -P "${programs[@]}"
}

# bash_rootfs DIR
bash_rootfs() {
  local root=$1 program library target
  mkdir -p "$root"/{usr/bin,usr/lib,usr/lib64,etc,proc,sys,dev,run,root,home/cnb,cnb,workspace,layers,platform}
  mkdir -m 1777 "$root/tmp"
  for target in bin lib lib64; do ln -s "usr/$target" "$root/$target"; done
  ln -s bin "$root/usr/sbin"
  for program in $(bash_programs); do
    install -m 0755 "$(readlink -f "$program")" "$root/usr/bin/$(basename "$program")"
    ldd "$program" | awk '/=> \//{print $3} $1 ~ /^\/lib/{print $1}'
  done | sort -u | while read -r library; do
    # A machine may still say /lib for /usr/lib; here the first is a link.
    case $library in /usr/*) target=$root$library ;; *) target=$root/usr$library ;; esac
    install -D -m 0755 "$(readlink -f "$library")" "$target"
  done
  ln -s bash "$root/usr/bin/sh"
  printf 'root:x:0:0:root:/root:/bin/bash\ncnb:x:1000:1000::/home/cnb:/bin/bash\n' >"$root/etc/passwd"
  printf 'root:x:0:\ncnb:x:1000:\n' >"$root/etc/group"
}

# bash_tar ROOT TAR: owners are given here, so that anybody can make a base
bash_tar() {
  local root=$1 folder folders=(home/cnb workspace layers) excluded=()
  for folder in "${folders[@]}"; do excluded+=("--exclude=./$folder"); done
  pack_layer "$root" "$2" --owner=0 --group=0 "${excluded[@]}"
  for folder in "${folders[@]}"; do
    mkdir -p "$root.user/$folder"
    pack_folder "$root.user" "$2" "./$folder" --owner=1000 --group=1000
  done
  rm -rf "$root.user"
}

# bash_base DIR: makes the layouts DIR/build and DIR/run
bash_base() {
  local dir=$1 kind
  bash_rootfs "$dir/rootfs"
  bash_tar "$dir/rootfs" "$dir/rootfs.tar"
  for kind in build run; do base_image "$dir/$kind" "$dir/rootfs.tar" "$kind" bash; done
  rm -rf "$dir/rootfs" "$dir/rootfs.tar"
}
