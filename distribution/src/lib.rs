//! How buildpacks, builders and the lifecycle are handed on (distribution.md, the builder extension, and what pack does).
//!
//! | what | shape | read by | written by |
//! |---|---|---|---|
//! | buildpackage | image layout, or a `.cnb` file, which is a tar of one | [`package`] | [`package`] |
//! | builder | image with buildpacks, an order and the lifecycle | [`builder`] | [`builder`] |
//! | lifecycle package | gzip tar with `lifecycle.toml` | [`lifecycle`] | [`lifecycle`] |
//!
//! All bytes are the same for the same inputs: fixed times, sorted entries.

pub mod archive;
pub mod builder;
pub mod labels;
pub mod lifecycle;
pub mod module;
pub mod package;

#[cfg(test)]
mod fixtures;
