//! What is fuzzed: everything that reads bytes which other people wrote, and the layers that are written for them, each
//! as a function that must not panic.
//!
//! [`ALL`] is the one list. `fuzz/Cargo.toml` has a program for each, which libFuzzer drives, and `fuzz/corpus/<target>`
//! its inputs; a test here replays all of them, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "what cannot be set up is a failed run")]

mod archives;
mod documents;
mod files;
mod inputs;
mod layers;
mod modules;
mod place;

/// A target takes any bytes. It panics if what must hold does not.
pub type Target = fn(&[u8]);

/// Every target, by name.
pub const ALL: &[(&str, Target)] = &[
    ("analyzed_toml", files::analyzed),
    ("build_toml", modules::build_toml),
    ("builder_toml", files::builder),
    ("buildpack_toml", modules::buildpack_toml),
    ("detect_plan_toml", modules::detect_plan_toml),
    ("dockerfile", modules::dockerfile),
    ("env_file", files::env_file),
    ("extension_toml", modules::extension_toml),
    ("group_toml", files::group),
    ("image_config", documents::config),
    ("image_index", documents::index),
    ("image_manifest", documents::manifest),
    ("image_name", documents::name),
    ("inputs", inputs::inputs),
    ("labels", files::labels),
    ("launch_toml", modules::launch_toml),
    ("layer_blob", layers::blob),
    ("layer_extract", archives::extract),
    ("layer_tar", layers::tar),
    ("layer_toml", modules::layer_toml),
    ("layer_unpack", archives::unpack),
    ("layout_archive", archives::layout),
    ("lifecycle_toml", files::lifecycle),
    ("metadata_toml", files::metadata),
    ("order_toml", files::order),
    ("package_toml", files::package),
    ("plan_toml", files::plan),
    ("project_metadata_toml", files::project_metadata),
    ("project_toml", files::project),
    ("run_toml", files::run),
    ("source_zip", archives::zip),
    ("stack_toml", files::stack),
    ("store_toml", modules::store_toml),
    ("system_toml", files::system),
];

/// Runs a target.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = ALL.iter().find(|(it, _)| *it == name).unwrap();
    target(bytes);
}
