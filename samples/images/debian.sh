#!/usr/bin/env bash
# Sourced. Whole Debian (or Ubuntu) bases from the packages of the machine's own release, fetched from where its apt
# fetches them. That place is in no file here and in none of the images.
# shellcheck disable=SC2154 # here and epoch are set by who sources this

# What the images of a base have beyond the essential packages.
debian_packages() {
  case $1 in
    java-build) echo ca-certificates openjdk-17-jdk-headless maven ;;
    java-run) echo zlib1g libstdc++6 ;; # what a jlink runtime wants beside libc
    nodejs-build) echo ca-certificates nodejs npm ;;
    nodejs-run) echo nodejs ;;
  esac
}

# debian_sources FILE: apt's sources of the machine's release as a sources.list, those of other publishers left out
debian_sources() {
  list_sources >"$1"
  if [[ ! -s $1 ]]; then
    # apt knows what its sources are only after it has asked them.
    apt-get update -qq
    list_sources >"$1"
  fi
}

list_sources() {
  # shellcheck disable=SC2016 # the $(…) are apt's
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)|$(CODENAME)' 'Created-By: Packages' |
    awk -F '|' -v origin="$(os_release ID)" -v codename="$(os_release VERSION_CODENAME)" \
      'tolower($2) == origin && index($3, codename) == 1 && !seen[$1]++ {print $1}'
}

# debian_tar TAR WORK PACKAGE...: a root filesystem, the same bytes for the same versions of the packages
debian_tar() {
  local tar=$1 work=$2 packages
  shift 2
  packages=$(tr ' ' ',' <<<"$*")
  # The sources go in and out again by name, so that none stays in the image.
  SOURCE_DATE_EPOCH=$epoch mmdebstrap --quiet --variant=essential --skip=output/dev --aptopt="$work/apt.conf" \
    --dpkgopt=force-unsafe-io --include="$packages" --customize-hook="$here/images/debian-trim.sh \"\$1\"" \
    "$(os_release VERSION_CODENAME)" "$tar" "$work/sources.list"
}

# debian_base BASE DIR: makes the layouts DIR/build and DIR/run, both at a time
debian_base() {
  local base=$1 dir=$2 kind work=$2/work pid pids=()
  mkdir "$work"
  debian_sources "$work/sources.list"
  # How apt gets out of this machine: a proxy, certificates.
  apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$work/apt.conf" || true
  for kind in build run; do
    {
      # shellcheck disable=SC2046 # a list of names
      debian_tar "$work/$kind.tar" "$work" $(debian_packages "$base-$kind")
      base_image "$dir/$kind" "$work/$kind.tar" "$kind" "$base"
      rm "$work/$kind.tar"
    } &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid"; done
  rm -rf "$work"
}
