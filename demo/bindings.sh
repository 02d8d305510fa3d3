#!/usr/bin/env bash
# bindings.sh DIR: what of this machine a build needs to get at package repositories, as service bindings: its
# certificates, the user's settings for Maven and npm. Only the build sees them; no image holds them.
set -euo pipefail

dir=$1
mkdir -p "$dir"

# bind NAME FILE AS
bind() {
  [[ -f $2 ]] || return 0
  mkdir "$dir/$1"
  printf '%s' "$1" >"$dir/$1/type"
  install -m 0400 "$2" "$dir/$1/$3"
}

bind ca-certificates /etc/ssl/certs/ca-certificates.crt ca-certificates.crt
bind maven "$HOME/.m2/settings.xml" settings.xml
bind npmrc "$HOME/.npmrc" .npmrc
