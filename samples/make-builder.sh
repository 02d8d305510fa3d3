#!/usr/bin/env bash
# make-builder.sh [BUILDER.toml [BINARIES]]: makes a builder from a file in pack's format, once, and prints the folder
# that holds it: `image` is an OCI layout with the tag `latest`.
# BINARIES is where `make build` puts slipway and the lifecycle, target/release.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=samples/images/cache.sh
source "$here/images/cache.sh"

toml=$(realpath "${1:-$here/builder.toml}")
binaries=$(realpath "${2:-$here/../target/release}")
cd "$here"

# make_builder BASE BUILDPACK... DIR: makes the layout DIR/image of $toml on the layout BASE, which is what $toml calls
# $build_image; buildpacks of source are compiled first
make_builder() {
  local base=$1 buildpacks=("${@:2:$#-2}") dir=${*: -1} work=${*: -1}/work buildpack
  local place=$work/home/layout-repo/index.docker.io/$build_image
  mkdir -p "$place"
  ln -s "$base" "$place/latest"
  for buildpack in "${buildpacks[@]}"; do
    mkdir -p "$(dirname "$work/$buildpack")"
    if [[ -x $buildpack/package.sh ]]; then
      "$buildpack/package.sh" "$work/$buildpack"
    else
      cp -r "$buildpack" "$work/$buildpack"
    fi
  done
  cp "$toml" "$work/builder.toml"
  SLIPWAY_HOME=$work/home "$binaries/slipway" builder create "oci:$dir/image" --config "$work/builder.toml" \
    --lifecycle "$binaries" >/dev/null
  rm -rf "$work"
}

# The samples' files have a key and its value on one line.
build_image=$(sed -n '/^\[build\]/,/^\[/ s/^image = "\(.*\)"$/\1/p' "$toml")
mapfile -t buildpacks < <(sed -n 's/^uri = "\(.*\)"$/\1/p' "$toml")
base=${build_image#slipway/}
base=$(./make-base.sh "${base%-build}")

# The base and the programs by their content alone, wherever they lie.
key=$({
  checksum "$(realpath --relative-to . "$toml")" "${buildpacks[@]}"
  sha256sum <"$base/build/index.json"
  cat "$binaries"/{lifecycle,launcher,slipway} | sha256sum
} | sha256sum | cut -c 1-12)
cached builders "$(basename "$toml" .toml)" "$key" make_builder "$base/build" "${buildpacks[@]}"
