//! The Buildpack API: what the lifecycle and a buildpack say to each other (buildpack.md, `image_extension.md`).
//!
//! ```text
//! descriptor (buildpack.toml) ─► order ─► group ─► detect (bin/detect) ─► plan
//!                                                                          │
//! layer, env, sbom, store, launch  ◄── build (bin/build) ◄── plan entries ─┤
//! dockerfile, extend_config  ◄── generate (bin/generate of extensions) ◄──┘
//! ```
//!
//! Reads no variable and no flag of a platform: callers pass the environment that a buildpack may see.
//! [`decode`] and [`encode`] hold the TOML dialect of the reference, for the platform's files too.

pub mod api;
pub mod build;
pub mod decode;
pub mod descriptor;
pub mod detect;
pub mod dockerfile;
pub mod encode;
pub mod env;
pub mod extend_config;
pub mod fault;
pub mod generate;
pub mod group;
pub mod launch;
pub mod layer;
pub mod order;
pub mod plan;
mod program;
pub mod sbom;
pub mod store;
pub mod syscall_text;
pub mod target;

pub use api::Version;
