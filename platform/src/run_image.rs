//! Which run image, and what of it is recorded (COM-062 to COM-065, ANA-008, ANA-009).

use crate::api::PlatformApi;
use crate::exit::Failure;
use crate::files::{Analyzed, BuildMetadata, RunImageForExport, RunToml};

/// Chooses among an image and its mirrors: those on `registry` that `readable` accepts first (COM-062).
pub fn choose(
    image: &RunImageForExport,
    registry: &str,
    readable: &dyn Fn(&str) -> bool,
) -> Result<String, Failure> {
    let _ = (image, registry, readable);
    todo!()
}

/// Returns whether two names mean the same image, digests aside (COM-063).
pub fn same_name(one: &str, other: &str) -> bool {
    let _ = (one, other);
    todo!()
}

/// Returns what the exporter records of the run image (COM-064, COM-065). `metadata` is called only where it is needed.
pub fn for_export(
    api: PlatformApi,
    run: &RunToml,
    analyzed: &Analyzed,
    metadata: &dyn Fn() -> Result<BuildMetadata, Failure>,
) -> Result<RunImageForExport, Failure> {
    let _ = (api, run, analyzed, metadata);
    todo!()
}
