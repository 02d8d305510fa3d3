#!/usr/bin/env bash
# Sourced. A builder: a build image with buildpacks, their order and the lifecycle on top, laid out as the field's
# builders are, so that other platforms take it too.
# shellcheck disable=SC2154 # epoch and the functions around it come from oci.sh

# toml_json FILE: FILE as JSON
toml_json() {
  awk -f images/toml.awk "$1" | jq -cn 'reduce inputs as [$path, $value] ({}; setpath($path; $value))'
}

# tables FILE TABLE: these tables of FILE as they are written there
tables() {
  awk -v table="$2" '/^\[/ {name = $0; gsub(/[][ \t]/, "", name); on = name == table || index(name, table ".") == 1} on' "$1"
}

# layer LAYOUT DIR: DIR as a layer owned by root, its tar beside it as DIR.tar; prints the diffID
layer() {
  pack_layer "$2" "$2.tar" --owner=0 --group=0 --mode=u+rwX,go+rX,go-w
  add_layer "$1" "$2.tar" >&2
  echo "sha256:$(sha256sum "$2.tar" | cut -d' ' -f1)"
}

# add_folders LAYOUT WORK: what every builder has; /workspace and /layers are in the base and belong to its user
add_folders() {
  local root=$2/folders
  mkdir -p "$root"/{cnb/buildpacks,cnb/extensions,cnb/build-config/env,cnb/lifecycle,platform/env}
  ln -s cnb/lifecycle "$root/lifecycle"
  layer "$1" "$root" >/dev/null
}

# add_lifecycle LAYOUT WORK BINARIES: one program under the name of each phase, and the launcher
add_lifecycle() {
  local root=$2/lifecycle phase
  mkdir -p "$root/cnb/lifecycle"
  install -m 0755 "$3/lifecycle" "$3/launcher" "$root/cnb/lifecycle/"
  install -m 0644 lifecycle.toml "$root/cnb/lifecycle/"
  for phase in analyzer detector restorer builder exporter creator rebaser; do
    ln -s lifecycle "$root/cnb/lifecycle/$phase"
  done
  layer "$1" "$root" >/dev/null
}

# add_buildpack LAYOUT WORK DIR: prints {id, version, …} for the labels
add_buildpack() {
  local toml id version root folder diff_id
  toml=$(toml_json "$3/buildpack.toml")
  id=$(jq -r .buildpack.id <<<"$toml")
  version=$(jq -r .buildpack.version <<<"$toml")
  root=$2/buildpack-${id//\//_}
  folder=$root/cnb/buildpacks/${id//\//_}/$version
  mkdir -p "$folder"
  if [[ -x $3/package.sh ]]; then
    "$3/package.sh" "$folder" >&2
  else
    cp -r "$3"/. "$folder"
  fi
  diff_id=$(layer "$1" "$root")
  jq -c --arg diff_id "$diff_id" '{id: .buildpack.id, version: .buildpack.version,
    layer: ({api, name: .buildpack.name, targets, layerDiffID: $diff_id} | with_entries(select(.value != null)))}' <<<"$toml"
}

# add_config LAYOUT WORK TOML: order.toml, and the run images in the form of each Platform API
add_config() {
  local root=$2/config
  mkdir -p "$root/cnb"
  tables "$3" order >"$root/cnb/order.toml"
  tables "$3" run | sed -n 's/^\[\[run\.images\]\]/[[images]]/; /^\[run\]/!p' >"$root/cnb/run.toml"
  printf '[run-image]\nimage = "%s"\n' "$(toml_json "$3" | jq -r '.run.images[0].image')" >"$root/cnb/stack.toml"
  layer "$1" "$root" >/dev/null
}

# set_labels LAYOUT TOML BUILDPACKS: BUILDPACKS is a JSON array of what add_buildpack printed
set_labels() {
  local builder lifecycle metadata layers order
  builder=$(toml_json "$2")
  lifecycle=$(toml_json lifecycle.toml)
  metadata=$(jq -cn --argjson builder "$builder" --argjson lifecycle "$lifecycle" --argjson buildpacks "$3" '{
    description: $builder.description,
    buildpacks: [$buildpacks[] | {id, version}],
    extensions: [],
    stack: {runImage: {image: $builder.run.images[0].image, mirrors: []}},
    images: [$builder.run.images[] | {image, mirrors: (.mirrors // [])}],
    lifecycle: ($lifecycle | {
      version: .lifecycle.version,
      api: {buildpack: .apis.buildpack.supported[0], platform: .apis.platform.supported[0]},
      apis}),
    createdBy: {name: "Slipway samples", version: ($lifecycle.lifecycle.version | split("slipway.")[1])}}')
  layers=$(jq -c 'reduce .[] as $b ({}; .[$b.id][$b.version] = $b.layer)' <<<"$3")
  order=$(jq -c '.order' <<<"$builder")
  configure "$1" --config.workingdir /layers \
    --config.label "io.buildpacks.builder.metadata=$metadata" \
    --config.label "io.buildpacks.buildpack.layers=$layers" \
    --config.label "io.buildpacks.extension.layers={}" \
    --config.label "io.buildpacks.buildpack.order=$order" \
    --config.label "io.buildpacks.buildpack.order-extensions=null" \
    --config.label "io.buildpacks.stack.mixins=null"
}

# make_builder TOML BUILD-IMAGE BINARIES DIR: makes the layout DIR/image and, unpacked from it, DIR/bundle
make_builder() {
  local toml=$1 dir=$4 image=$4/image work=$4/work buildpack buildpacks=()
  mkdir -p "$work" "$image"
  # The base's blobs never change and may be shared; index.json will.
  cp "$2/oci-layout" "$2/index.json" "$image/"
  cp -rl "$2/blobs" "$image/"
  add_folders "$image" "$work"
  add_lifecycle "$image" "$work" "$3"
  while read -r buildpack; do
    buildpacks+=("$(add_buildpack "$image" "$work" "$buildpack")")
  done < <(toml_json "$toml" | jq -r '.buildpacks[].uri')
  add_config "$image" "$work" "$toml"
  set_labels "$image" "$toml" "$(printf '%s\n' "${buildpacks[@]}" | jq -cs .)"
  umoci gc --layout "$image"
  rm -rf "$work"
  umoci unpack --image "$image:latest" "$dir/bundle"
}
