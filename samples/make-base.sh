#!/usr/bin/env bash
# make-base.sh bash|java|nodejs: makes the build and the run image of a base, once, and prints the folder that holds
# them as the OCI layouts `build` and `run`, each with the tag `latest`.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=samples/images/cache.sh
source "$here/images/cache.sh"
# shellcheck source=samples/images/oci.sh
source "$here/images/oci.sh"
# shellcheck source=samples/images/bash.sh
source "$here/images/bash.sh"
# shellcheck source=samples/images/debian.sh
source "$here/images/debian.sh"
cd "$here" # so that the checksums below do not depend on where the project lies

base=${1:-}
case $base in
  bash)
    # shellcheck disable=SC2046 # a list of paths
    cached bases bash "$(checksum images/{oci,bash}.sh $(bash_programs))" bash_base
    ;;
  java | nodejs)
    cached bases "$base" "$(checksum images/{oci,debian,debian-trim}.sh)" debian_base "$base"
    ;;
  *)
    echo "usage: make-base.sh bash|java|nodejs" >&2
    exit 2
    ;;
esac
