use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use serde::Serialize;

use super::*;
use crate::decode;

/// A text in the reference's own form: it is written exactly as it was read.
/// Made with the library that the reference uses.
const CANONICAL: &str = r#"a-date = 1979-05-27
a-time = 07:32:00.1
big = 9223372036854775807
empty = []
floats = [1.0, 100000.0, 1e+06, 1.23456725e+06, 123456.5, 0.0001, 1e-05, -2.5, 1e+21, inf, -inf]
local = 1979-05-27T07:32:00.5
mixed = [[{b = 1, a = [{c = 1}]}], 1, {}]
offset = 1979-05-27T07:32:00-07:00
text = "\"q\" \\ \b\t\n\f\r\u0000\u001f\u007f é"
utc = 1979-05-27T07:32:00Z

["a b"]
  "" = 1
  "é" = 2

[[list]]

  [[list.inner]]
    x = 1

[[list]]
  name = "second"
  [list.sub]
    [list.sub.deep]
      y = true

[table]
"#;

#[test]
fn a_canonical_text_is_written_as_it_was_read() {
    let table: toml::Table = decode::from_str(CANONICAL).unwrap();
    assert_eq!(to_string(&table).unwrap(), CANONICAL);
}

#[derive(Serialize)]
struct Inner {
    b: i64,
    a: Option<&'static str>,
}

#[derive(Serialize)]
struct Outer {
    table: Inner,
    list: Vec<Inner>,
    none: Option<Inner>,
    zeta: &'static str,
    alpha: Vec<String>,
    map: BTreeMap<&'static str, bool>,
    command: Verbatim,
}

#[test]
fn fields_keep_their_order_but_plain_values_come_first() {
    let value = Outer {
        table: Inner { b: 1, a: None },
        list: vec![Inner { b: 2, a: Some("x") }],
        none: None,
        zeta: "z",
        alpha: vec![],
        map: BTreeMap::from([("k2", true), ("k1", false)]),
        command: Verbatim(r#"["\u003c", "b"]"#.to_owned()),
    };
    let expected = r#"zeta = "z"
alpha = []
command = ["\u003c", "b"]

[table]
  b = 1

[[list]]
  b = 2
  a = "x"

[map]
  k1 = false
  k2 = true
"#;
    assert_eq!(to_string(&value).unwrap(), expected);
}

#[test]
fn what_toml_cannot_hold_is_refused() {
    let cases = [
        (
            to_string(&1),
            "failed to encode TOML: the top of a document must be a table",
        ),
        (
            to_string(&None::<i64>),
            "failed to encode TOML: the top of a document must be a table",
        ),
        (
            to_string(&BTreeMap::from([("a", vec![None::<i64>])])),
            "failed to encode TOML: array cannot contain nil element",
        ),
        (
            to_string(&BTreeMap::from([(1, 1)])),
            "failed to encode TOML: map key type is not a string",
        ),
    ];
    for (result, expected) in cases {
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
}

#[test]
fn files_are_truncated_and_get_their_folders() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/c.toml");
    to_file(&path, &BTreeMap::from([("key", "a long value")])).unwrap();
    let other_name = dir.path().join("other-name");
    fs_err::hard_link(&path, &other_name).unwrap();
    to_file(&path, &BTreeMap::from([("k", 1)])).unwrap();
    for name in [&path, &other_name] {
        assert_eq!(fs_err::read_to_string(name).unwrap(), "k = 1\n");
    }
    // Modes are 0777 and 0666 less the umask, as plain folders and files have them.
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode();
    fs_err::create_dir(dir.path().join("folder")).unwrap();
    fs_err::write(dir.path().join("folder/file"), "").unwrap();
    assert_eq!(mode(&path), mode(&dir.path().join("folder/file")));
    for folder in ["a", "a/b"] {
        let found = mode(&dir.path().join(folder));
        assert_eq!(found, mode(&dir.path().join("folder")), "{folder}");
    }
    let error = to_file(&path.join("d.toml"), &BTreeMap::from([("k", 1)])).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("mkdir {}: not a directory", path.display())
    );
}

fn any_value() -> impl Strategy<Value = toml::Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(toml::Value::Integer),
        prop::num::f64::NORMAL.prop_map(toml::Value::Float),
        any::<bool>().prop_map(toml::Value::Boolean),
        any::<String>().prop_map(toml::Value::String),
        (
            1970_u16..2100,
            1_u8..13,
            1_u8..29,
            0_u8..24,
            0_u32..1_000_000_000
        )
            .prop_map(|(year, month, day, hour, nanosecond)| {
                let text = format!("{year}-{month:02}-{day:02}T{hour:02}:00:00.{nanosecond:09}Z");
                toml::Value::Datetime(text.parse().unwrap())
            }),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
            prop::collection::btree_map("[a-z .]{0,3}", inner, 0..4)
                .prop_map(|entries| toml::Value::Table(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_and_written_alike(
        entries in prop::collection::btree_map(any::<String>(), any_value(), 0..5)
    ) {
        let table: toml::Table = entries.into_iter().collect();
        let text = to_string(&table).unwrap();
        let read: toml::Table = decode::from_str(&text).unwrap();
        prop_assert_eq!(to_string(&read).unwrap(), text);
        prop_assert_eq!(without_datetimes(toml::Value::Table(read)), without_datetimes(toml::Value::Table(table)));
    }
}

/// Datetimes are compared as written: a fraction of zero and none are the same instant.
fn without_datetimes(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Datetime(_) => toml::Value::Boolean(true),
        toml::Value::Array(items) => {
            toml::Value::Array(items.into_iter().map(without_datetimes).collect())
        }
        toml::Value::Table(table) => toml::Value::Table(
            table
                .into_iter()
                .map(|(key, value)| (key, without_datetimes(value)))
                .collect(),
        ),
        other => other,
    }
}
