#!/usr/bin/env bash
# make-builder.sh [BUILDER.toml [BINARIES]]: makes a builder from a file in pack's format, once, and prints the folder
# that holds it: `image` is an OCI layout with the tag `latest`, `bundle` the same unpacked for an OCI runtime.
# BINARIES is where `make build` puts the lifecycle, target/release.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=samples/images/cache.sh
source "$here/images/cache.sh"
# shellcheck source=samples/images/oci.sh
source "$here/images/oci.sh"
# shellcheck source=samples/images/builder.sh
source "$here/images/builder.sh"

toml=$(realpath "${1:-$here/builder.toml}")
binaries=$(realpath "${2:-$here/../target/release}")
cd "$here"

builder=$(toml_json "$toml")
build_image=$(jq -r .build.image <<<"$builder")
base=${build_image#slipway/}
base=$(./make-base.sh "${base%-build}")

mapfile -t buildpacks < <(jq -r '.buildpacks[].uri' <<<"$builder")
# The base and the programs by their content alone, wherever they lie.
key=$({
  checksum "$(realpath --relative-to . "$toml")" lifecycle.toml images/{oci,builder}.sh images/toml.awk "${buildpacks[@]}"
  sha256sum <"$base/build/index.json"
  cat "$binaries"/{lifecycle,launcher} | sha256sum
} | sha256sum | cut -c 1-12)
cached builders "$(basename "$toml" .toml)" "$key" make_builder "$toml" "$base/build" "$binaries"
