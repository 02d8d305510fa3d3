//! Groups of modules to try (`order.toml`, and `[[order]]` of a composite buildpack; COM-075, BPD-040).

use serde::{Deserialize, Deserializer};

use crate::group::{GroupElement, mark_as_extensions};

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
    #[serde(rename = "order-extensions", default, deserialize_with = "extensions")]
    pub order_extensions: Vec<OrderGroup>,
}

/// Reads `[[order-extensions]]`.
fn extensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OrderGroup>, D::Error> {
    let mut groups: Vec<OrderGroup> = Vec::deserialize(deserializer)?;
    for group in &mut groups {
        mark_as_extensions(&mut group.group);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    #[test]
    fn extensions_of_an_order_are_optional_whatever_it_says() {
        let order: Order = decode::from_str(
            "[[order]]\n[[order.group]]\nid = 'a'\n[[order.group]]\nid = 'b'\noptional = true\n\
             [[order-extensions]]\n[[order-extensions.group]]\nid = 'x'\noptional = false\n",
        )
        .unwrap();
        let flags = |group: &OrderGroup| -> Vec<_> {
            group
                .group
                .iter()
                .map(|e| (e.id.clone(), e.extension, e.optional))
                .collect()
        };
        assert_eq!(
            flags(&order.order[0]),
            [
                ("a".to_owned(), false, false),
                ("b".to_owned(), false, true)
            ]
        );
        assert_eq!(
            flags(&order.order_extensions[0]),
            [("x".to_owned(), true, true)]
        );
    }
}
