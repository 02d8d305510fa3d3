//! Groups of modules to try (`order.toml`, and `[[order]]` of a composite buildpack; COM-075, BPD-040).

use serde::Deserialize;

use crate::group::GroupElement;

/// One group of an order, not yet resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct OrderGroup {
    /// Its elements.
    #[serde(default)]
    pub group: Vec<GroupElement>,
}

/// `order.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Order {
    /// Buildpack groups, first to last.
    #[serde(default)]
    pub order: Vec<OrderGroup>,
    /// Extension groups; their elements are optional whatever the file says.
    #[serde(rename = "order-extensions", default)]
    pub order_extensions: Vec<OrderGroup>,
}
