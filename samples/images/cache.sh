#!/usr/bin/env bash
# Sourced. Where bases and builders are kept, so that they are made once and found from any directory.

cache_root=${XDG_CACHE_HOME:-$HOME/.cache}/slipway

# cached KIND NAME KEY MAKE...: prints the folder KIND/NAME-KEY of the cache. If it is not there, runs MAKE FOLDER
# first, on a temporary folder that gets its name when it is whole; what NAME was before is dropped then.
cached() {
  local kind=$1 name=$2 key=$3 folder
  shift 3
  mkdir -p "$cache_root/$kind"
  folder=$cache_root/$kind/$name-$key
  # Two runs at a time would make the same thing twice.
  exec {lock}>"$cache_root/$kind/.$name.lock"
  flock "$lock"
  if [[ ! -d $folder ]]; then
    rm -rf "$folder.part"
    mkdir "$folder.part"
    "$@" "$folder.part" >&2
    find "$cache_root/$kind" -mindepth 1 -maxdepth 1 -regex ".*/$name-[0-9a-f]*" -exec rm -rf {} +
    mv "$folder.part" "$folder"
    ln -sfn "$name-$key" "$cache_root/$kind/$name"
  fi
  exec {lock}>&-
  echo "$folder"
}

# checksum FILE...: twelve digits that change with the name, mode or content of any file in these files and folders
checksum() {
  find "$@" -type f -printf '%m ' -exec sha256sum {} \; | sort -k 3 | sha256sum | cut -c 1-12
}
