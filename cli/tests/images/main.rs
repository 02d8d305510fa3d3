//! What `slipway` does with images, as people and scripts call it, on layouts that are made here.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

mod copies;
mod faults;
mod gc_and_copy;
mod inspect;
mod kit;
mod manifests;
mod pulls;
mod rebase;
mod run;
mod sbom;
