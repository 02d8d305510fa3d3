//! Rebases of images that were written by hand, in a directory of layouts of their own.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

mod failure;
mod image;
mod kit;
mod labels;
mod names;
mod sparse;
