#!/usr/bin/env bash
# install.sh PROGRAM...: installs those programs that are not there yet: their packages with apt, and by Go what Debian has not.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin

# The packages that PROGRAM needs, where they have another name.
packages() {
  case $1 in
    cc) echo gcc libc6-dev ;; # Rust links with it, and two libraries are in C
    nsenter | unshare | taskset | setpriv) echo util-linux ;;
    htpasswd) echo apache2-utils ;;
    busybox) echo busybox-static ;;
    crane) type -P go >/dev/null || echo golang-go ca-certificates ;;
    ctr) echo containerd ;;
    docker | dockerd) echo docker.io ;;
    mount) echo mount ;;
    newuidmap) echo uidmap ;;
    update-ca-certificates) echo ca-certificates ;;
    useradd) echo passwd ;;
    *) echo "$1" ;;
  esac
}

# The module of PROGRAM, of a version that Debian's Go can build.
module() {
  case $1 in
    crane) echo github.com/google/go-containerregistry/cmd/crane@v0.20.2 ;;
  esac
}

packages=()
modules=()
for program in "$@"; do
  type -P "$program" >/dev/null && continue
  # shellcheck disable=SC2207 # names without blanks
  packages+=($(packages "$program"))
  # shellcheck disable=SC2207
  modules+=($(module "$program"))
done
((${#packages[@]} + ${#modules[@]} > 0)) || exit 0

if ((EUID != 0)); then
  echo "these are missing, and only root can install them: ${packages[*]} ${modules[*]}" >&2
  exit 1
fi
if ((${#packages[@]} > 0)); then
  echo "installing with apt-get: ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi
for module in "${modules[@]}"; do
  echo "installing with go install: $module"
  GOBIN=/usr/local/bin go install "$module"
done
