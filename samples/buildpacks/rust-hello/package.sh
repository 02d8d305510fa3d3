#!/usr/bin/env bash
# package.sh DEST: compiles this buildpack and puts it into DEST as a folder that a builder takes.
# Linked statically for the gnu target, it runs on any base image and needs no other target to be installed.
set -euo pipefail

dest=${1:?usage: package.sh DEST}
here=$(cd "$(dirname "$0")" && pwd)
triple=$(rustc -vV | sed -n 's/^host: //p')
# A target directory of its own, because a running cargo may hold the lock of the project's.
target=${CARGO_TARGET_DIR:-$here/../../../target/rust-hello}

RUSTFLAGS="-C target-feature=+crt-static" \
  cargo build --manifest-path "$here/Cargo.toml" --locked --release --target "$triple" --target-dir "$target"

install -D -m 0644 "$here/buildpack.toml" "$dest/buildpack.toml"
install -D -m 0755 "$target/$triple/release/rust-hello" "$dest/bin/build"
# libcnb looks at the name that it is called by.
ln -sfn build "$dest/bin/detect"
