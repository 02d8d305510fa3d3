//! `order.toml`, and where it is (COM-022, COM-075).

use std::path::Path;

use buildpack::order::Order;

/// Reads the file; extensions come out optional.
pub fn read(path: &Path) -> anyhow::Result<Order> {
    let _ = path;
    todo!()
}
