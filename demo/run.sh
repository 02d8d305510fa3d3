#!/usr/bin/env bash
# run.sh [APP [BUILDER]]: builds a sample app into ./sample-app with slipway, lets other programs judge the image, and
# runs it. Root or anybody else may call it; only missing programs need root, to be installed.
# APP is a folder of samples/apps, BUILDER a file in samples/ where it is not the app's usual one.
# Expects `make build` to have run; SLIPWAY_BIN names the programs' folder if it is not target/release.
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
app=${1:-java-maven}
bin=${SLIPWAY_BIN:-$root/target/release}
output=sample-app
state=.demo

case $app in
  java-maven) builder="builder.toml" ;;
  nodejs) builder="builder-nodejs.toml" ;;
  *) builder="builder-bash.toml" ;;
esac
builder=${2:-$builder}

if [[ ! -d $root/samples/apps/$app ]]; then
  echo "there is no app '$app': take one of $(cd "$root/samples/apps" && echo *)" >&2
  exit 2
fi
for program in lifecycle launcher slipway; do
  if [[ ! -x $bin/$program ]]; then
    echo "there is no $bin/$program: run make build first" >&2
    exit 2
  fi
done
scratch=$(mktemp -d)
container=slipway-demo-$$
# What may still run is this demo's own container, by its own name.
trap 'if ((EUID == 0)); then runc delete -f "$container" 2>/dev/null || true; fi; rm -rf "$scratch"' EXIT

started=$EPOCHREALTIME
step_started=$started
step_text=

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN {printf "%.1f s", to - from}'; }

# step TEXT: says what comes, and how long what came before took
step() {
  if [[ -n $step_text ]]; then echo "     done in $(seconds_since "$step_started")"; fi
  step_text=$1 step_started=$EPOCHREALTIME
  printf '\n==> %s\n' "$step_text"
}

# start_fresh: an image of another app or builder is no previous image of this one
start_fresh() {
  local now="$app with $builder"
  mkdir -p "$state"
  if [[ $(cat "$state/last" 2>/dev/null) != "$now" ]]; then rm -rf "$output"; fi
  echo "$now" >"$state/last"
}

# bytes DIR: of its files
bytes() { find "$1" -type f -printf '%s\n' | awk '{sum += $1} END {printf "%d", sum}'; }

# start: the app in the background, from its image. Root lets runc do it, in a network of the app's own, so that no port
# of the machine is taken; others have slipway for it, and the machine's network.
start() {
  if ((EUID == 0)); then
    runc run -b bundle "$container" </dev/null &
  else
    "$bin/slipway" run "oci:$output" </dev/null &
  fi >"$scratch/app.log" 2>&1
}

# ask URL: prints what the app answers
ask() {
  local pid
  if ((EUID == 0)); then
    pid=$(runc state "$container" 2>/dev/null | jq -r .pid || true)
    [[ ${pid:-0} != 0 ]] && nsenter -t "$pid" -n curl -sf "$1"
  else
    curl -sf "$1"
  fi
}

# answer: starts the app, asks it over HTTP, and stops it
answer() {
  local url=http://127.0.0.1:8080/slipway
  start
  for _ in {1..100}; do
    kill -0 $! 2>/dev/null || break
    if ask "$url" >"$scratch/answer" 2>/dev/null; then
      echo "     GET $url"
      cat "$scratch/answer"
      if ((EUID == 0)); then runc kill "$container" TERM; else kill $!; fi
      wait $! || true # ended by a signal
      return
    fi
    sleep 0.1
  done
  echo "no answer; the app said:" >&2
  cat "$scratch/app.log" >&2
  return 1
}

# sum_up LOG
sum_up() {
  local restored reused added
  restored=$(grep -c 'Restoring data for ".*" from cache' "$1" || true)
  reused=$(grep -c "Reusing layer '" "$1" || true)
  added=$(grep -c "Adding layer '" "$1" || true)
  echo "     layers: $added added, $reused reused; restored from the cache: $restored"
  echo "     ./$output: $(bytes "$output") bytes, cache: $(bytes "$state/$app/build-cache") bytes"
  echo "     the build itself took $build_seconds, the whole demo $(seconds_since "$started")"
  if ((reused == 0)); then echo "     The same command again reuses cache and layers."; fi
}

step "Base images: build and run image of the builder $builder"
base=$(sed -n 's/^image = "slipway\/\(.*\)-build"$/\1/p' "$root/samples/$builder")
base=$("$root/samples/make-base.sh" "$base")
echo "     $base"

step "Builder: buildpacks and lifecycle on the build image"
builder_folder=$("$root/samples/make-builder.sh" "$root/samples/$builder" "$bin")
echo "     $builder_folder"

step "Build: samples/apps/$app becomes ./$output, an OCI image layout"
start_fresh
"$root/demo/bindings.sh" "$scratch/bindings"
# A build by root runs as the builder's user, who shall be able to read them.
if ((EUID == 0)); then chown -R 1000:1000 "$scratch/bindings"; fi
command=("$bin/slipway" build "oci:$output" --path "$root/samples/apps/$app" --builder "oci:$builder_folder/image"
  --run-image "oci:$base/run" --cache "type=build;format=bind;source=$state/$app" --volume "$scratch/bindings:/platform/bindings")
echo "     ${command[*]}"
# A pipe for the log, so that the build's exit code still counts.
SLIPWAY_HOME=$PWD/$state/home SLIPWAY_LIFECYCLE_DIR=$bin "${command[@]}" | tee "$scratch/build.log"
build_seconds=$(seconds_since "$step_started")

step "Layout: what is in it, and whether every digest is right"
"$bin/slipway" layout ls "$output"
"$bin/slipway" layout verify "$output"

step "skopeo inspect oci:$output:latest"
skopeo inspect "oci:$output:latest" | jq 'del(.LayersData) | .Labels |= keys'

if ((EUID == 0)); then
  step "umoci unpack --image $output:latest bundle"
  rm -rf bundle
  umoci unpack --image "$output:latest" bundle
  # A terminal of its own is what umoci asks for; the demo may have none to give.
  jq '.process.terminal = false | del(.process.rlimits)' bundle/config.json >"$scratch/config.json"
  cp "$scratch/config.json" bundle/config.json
  step "runc run: the app from its image"
else
  step "slipway run oci:$output: the app from its image"
fi
if [[ $(skopeo inspect --config "oci:$output:latest" | jq -r '.config.Entrypoint[0]') == */web ]]; then
  answer
elif ((EUID == 0)); then
  runc run -b bundle "$container" </dev/null
else
  "$bin/slipway" run "oci:$output" </dev/null
fi

step "Summary"
sum_up "$scratch/build.log"
