//! What the phases weigh, in one file with registries, daemons and TLS: a lifecycle image holds it for every builder.

use tests::program::{ours, requires_optimised};

/// Bytes that it may have.
const MOST: u64 = 8_000_000;

#[test]
fn all_phases_in_one_file_are_small() {
    if !requires_optimised() {
        return;
    }
    let program = ours("lifecycle");
    let size = fs_err::metadata(&program).unwrap().len();
    assert!(size <= MOST, "{}: {size} bytes", program.display());
}
