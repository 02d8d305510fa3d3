#!/usr/bin/env bash
# Sourced. Images as OCI layouts with umoci, with fixed times, so that the same content has the same digest.

epoch=315532801 # what the lifecycle gives its own layers: one second after the start of 1980
epoch_text=1980-01-01T00:00:01Z

# What makes the same tar of the same files.
tar_options=(--numeric-owner --sort=name "--mtime=@$epoch" --format=posix
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime')

# pack_layer DIR TAR OPTION...: the content of DIR as a layer, owned by root unless DIR is a whole root filesystem
pack_layer() {
  tar "${tar_options[@]}" "${@:3}" -C "$1" -cf "$2" .
}

# pack_folder DIR TAR FOLDER OPTION...: adds an empty folder of DIR to a layer
pack_folder() {
  tar "${tar_options[@]}" "${@:4}" -C "$1" -rf "$2" "$3"
}

# add_layer LAYOUT TAR: TAR as it is, on top of the image
add_layer() {
  umoci raw add-layer --image "$1:latest" --history.created "$epoch_text" "$2"
}

# configure LAYOUT OPTION...: umoci config without a trace of the present time
configure() {
  umoci config --image "$1:latest" --created "$epoch_text" --history.created "$epoch_text" "${@:2}"
}

# base_image LAYOUT TAR KIND BASE: a build or run image (KIND) of one layer, as the Platform specification wants it
base_image() {
  local layout=$1 kind=$3 id=slipway.samples.$4 options=()
  if [[ $kind == build ]]; then
    options+=(--config.env CNB_USER_ID=1000 --config.env CNB_GROUP_ID=1000 --config.env "CNB_STACK_ID=$id")
  fi
  umoci init --layout "$layout"
  umoci new --image "$layout:latest"
  add_layer "$layout" "$2"
  configure "$layout" --config.user 1000:1000 --config.workingdir /workspace --config.cmd /bin/bash \
    --config.env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${options[@]}" \
    --config.label "io.buildpacks.base.id=$id" \
    --config.label "io.buildpacks.base.distro.name=$(os_release ID)" \
    --config.label "io.buildpacks.base.distro.version=$(os_release VERSION_ID)" \
    --config.label "io.buildpacks.stack.id=$id"
  umoci gc --layout "$layout"
  # umoci keeps images to their owner; a phase reads the run image as the user of the build.
  chmod -R a+rX "$layout"
}

# os_release KEY: of the machine, which the bases are made from
os_release() {
  # shellcheck source=/dev/null
  (source /etc/os-release && echo "${!1:-unknown}")
}
