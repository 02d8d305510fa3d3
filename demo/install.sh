#!/usr/bin/env bash
# install.sh PROGRAM...: installs with apt the packages of those programs that are not there yet.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin

# The package that holds PROGRAM, where it has another name.
package() {
  case $1 in
    cc) echo gcc libc6-dev ;; # Rust links with it, and two libraries are in C
    nsenter | unshare | taskset | setpriv) echo util-linux ;;
    busybox) echo busybox-static ;;
    mount) echo mount ;;
    newuidmap) echo uidmap ;;
    update-ca-certificates) echo ca-certificates ;;
    useradd) echo passwd ;;
    *) echo "$1" ;;
  esac
}

packages=()
for program in "$@"; do
  # shellcheck disable=SC2207 # names without blanks
  type -P "$program" >/dev/null || packages+=($(package "$program"))
done
((${#packages[@]} > 0)) || exit 0

if ((EUID != 0)); then
  echo "these packages are missing, and only root can install them: ${packages[*]}" >&2
  exit 1
fi
echo "installing with apt-get: ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
