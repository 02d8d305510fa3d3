//! `order.toml` (COM-075). Where it is: COM-022, in `inputs`.

use std::path::Path;

use anyhow::Context as _;
use buildpack::decode;
use buildpack::order::Order;

/// Reads the file; extensions come out optional.
pub fn read(path: &Path) -> anyhow::Result<Order> {
    decode::from_file(path).context("failed to read order file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> anyhow::Result<Order> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order.toml");
        fs_err::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn extensions_are_optional_whatever_the_file_says() {
        let order = read_text(
            r#"
            unknown = 1
            [[order]]
            other = 2
            [[order.group]]
            id = "a"
            version = "1"
            third = 3
            [[order.group]]
            id = "b"
            optional = true
            [[order-extensions]]
            [[order-extensions.group]]
            id = "e"
            optional = false
            "#,
        )
        .unwrap();
        let flags = |groups: &[buildpack::order::OrderGroup]| -> Vec<_> {
            let elements = groups.iter().flat_map(|group| &group.group);
            elements
                .map(|e| (e.id.clone(), e.extension, e.optional))
                .collect()
        };
        let expected = [
            ("a".to_owned(), false, false),
            ("b".to_owned(), false, true),
        ];
        assert_eq!(flags(&order.order), expected);
        assert_eq!(
            flags(&order.order_extensions),
            [("e".to_owned(), true, true)]
        );
    }

    #[test]
    fn errors_say_what_was_read() {
        let absent = read(Path::new("/no/order.toml")).unwrap_err();
        let expected = "failed to read order file: open /no/order.toml: no such file or directory";
        assert_eq!(format!("{absent:#}"), expected);
        for text in ["order = 1", "[[order]\n", "[[order.group]]\nid = []"] {
            let message = format!("{:#}", read_text(text).unwrap_err());
            assert!(
                message.starts_with("failed to read order file: toml: "),
                "{message}"
            );
        }
    }
}
