#!/usr/bin/env bash
# phases.sh APP OUTPUT RUN-IMAGE BUILDER CACHE: builds the app in the folder APP into the OCI layout OUTPUT, by running
# the five phases one after the other, each in a container of its own from the builder's bundle, as a platform does.
# RUN-IMAGE is an OCI layout, BUILDER what make-builder.sh printed, CACHE a folder that lives on between builds.
#
# All mounts are made in a mount namespace of this script, so none is left behind however it ends.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
if [[ ${1:-} != --in-namespace ]]; then
  exec unshare --mount --propagation private "$0" --in-namespace "$@"
fi
shift
(($# == 5)) || { echo "usage: phases.sh APP OUTPUT RUN-IMAGE BUILDER CACHE" >&2 && exit 2; }
mkdir -p "$2" "$5"
app=$(realpath "$1") output=$(realpath "$2") run_image=$(realpath "$3") builder=$(realpath "$4") cache=$(realpath "$5")

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$(mktemp -d)
trap 'umount -R "$scratch/rootfs" "$scratch/overlay" 2>/dev/null || true; rm -rf "$scratch"' EXIT

# The builder stays as it is: what the phases write outside of their volumes goes to an overlay, in memory because an
# overlay cannot lie on another one, as a folder in a container would.
mkdir "$scratch"/{overlay,rootfs,bundle,layers,workspace,platform}
mount -t tmpfs tmpfs "$scratch/overlay"
mkdir "$scratch"/overlay/{upper,work}
mount -t overlay overlay "$scratch/rootfs" \
  -o "lowerdir=$builder/bundle/rootfs,upperdir=$scratch/overlay/upper,workdir=$scratch/overlay/work"

# A log in a file or a pipe is read as text.
[[ -t 1 ]] && no_color=false || no_color=true

user=1000 # of all the samples' builders
cp -r "$app/." "$scratch/workspace"
"$here/bindings.sh" "$scratch/platform/bindings"
chown -R "$user:$user" "$scratch"/{workspace,layers,platform} "$output" "$cache"
chmod 0755 "$scratch"/{workspace,layers,platform}

# Where an image lies in the layout folder follows from its name. Each one that a build reads or writes is bound to
# its place: the output's own folder is a mount point, so it can be written into but neither renamed nor replaced.
image=sample-app
run_name=$(sed -n 's/^image = "\(.*\)"$/\1/p' "$builder/bundle/rootfs/cnb/run.toml" | head -n 1)
output_path=/layout-repo/index.docker.io/library/$image/latest
run_path=/layout-repo/index.docker.io/$run_name/latest

# container USER PROGRAM ARG...: a bundle's config.json. Root gets what it needs to become the user, others nothing.
container() {
  local as=$1 arguments
  shift
  arguments=$(printf '%s\n' "$@" | jq -R . | jq -cs .)
  jq --argjson arguments "$arguments" --arg rootfs "$scratch/rootfs" --arg scratch "$scratch" --argjson user "$as" \
    --arg run_image "$run_image" --arg run_path "$run_path" --arg output "$output" --arg output_path "$output_path" \
    --arg cache "$cache" --arg no_color "$no_color" '
    def bind($from; $to; $mode): {destination: $to, source: $from, type: "bind", options: ["rbind", $mode]};
    def capabilities: if $user == 0 then ["CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
      else [] end;
    .root = {path: $rootfs}
    | .process.terminal = false
    | .process.args = $arguments
    | .process.user = {uid: $user, gid: $user}
    | .process.cwd = "/layers"
    | .process.capabilities = {bounding: capabilities, effective: capabilities, permitted: capabilities}
    | del(.process.rlimits)
    | .process.env += ["CNB_PLATFORM_API=0.15", "CNB_EXPERIMENTAL_MODE=warn", "CNB_NO_COLOR=\($no_color)"]
      + [env | to_entries[] | select(.key | ascii_downcase | IN("http_proxy", "https_proxy", "no_proxy")) | "\(.key)=\(.value)"]
    | .linux.namespaces |= map(select(.type != "network"))
    | .mounts |= map(select(.destination | IN("/etc/resolv.conf", "/etc/hosts") | not))
    | .mounts += [
        bind("/etc/resolv.conf"; "/etc/resolv.conf"; "ro"), bind("/etc/hosts"; "/etc/hosts"; "ro"),
        bind($scratch + "/layers"; "/layers"; "rw"), bind($scratch + "/workspace"; "/workspace"; "rw"),
        bind($scratch + "/platform"; "/platform"; "ro"), bind($cache; "/cache"; "rw"),
        bind($run_image; $run_path; "ro"), bind($output; $output_path; "rw")]' "$builder/bundle/config.json"
}

# phase USER NAME ARG...: runs a phase to its end; its exit code is this script's if it fails
phase() {
  local as=$1 name=$2 from=$EPOCHREALTIME
  shift 2
  echo "===> $name $*"
  container "$as" "/cnb/lifecycle/$name" "$@" >"$scratch/bundle/config.json"
  runc --root "$scratch/runc" run -b "$scratch/bundle" "slipway-$name-$$" </dev/null
  awk -v name="$name" -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN {printf "     (%s: %.1f s)\n", name, to - from}'
}

layout=(-layout -layout-dir /layout-repo)
phase 0 analyzer "${layout[@]}" "$image"
phase "$user" detector -app /workspace
phase 0 restorer "${layout[@]}" -cache-dir /cache
phase "$user" builder -app /workspace
phase 0 exporter "${layout[@]}" -app /workspace -cache-dir /cache "$image"
