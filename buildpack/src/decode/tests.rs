use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// Faulty texts and what the reference's library says of them.
const SYNTAX: &[(&str, &str)] = &[
    (
        "this is not toml\n",
        "line 1: expected '.' or '=', but got 'i' instead",
    ),
    ("a\n", "line 1: expected '.' or '=', but got '\\n' instead"),
    ("a", "line 1: unexpected EOF; expected key separator '='"),
    (
        "\n\n= 1\n",
        "line 3: unexpected '=': key name appears blank",
    ),
    (
        ".a = 1\n",
        "line 1: unexpected '.': keys cannot start with a '.'",
    ),
    (
        "!a = 1\n",
        "line 1: expected '.' or '=', but got '!' instead",
    ),
    (
        "\n[a\nb=1",
        "line 3: expected '.' or ']' to end table name, but got '\\n' instead",
    ),
    (
        "[[a\n",
        "line 2: expected '.' or ']' to end table name, but got '\\n' instead",
    ),
    (
        "[[a]\nb=1\n",
        "line 2: expected end of table array name delimiter ']', but got '\\n' instead",
    ),
    (
        "[!]\n",
        "line 1: expected '.' or ']' to end table name, but got '!' instead",
    ),
    (
        "[]\n",
        "line 1: unexpected end of table name (table names cannot be empty)",
    ),
    (
        "[a.]\n",
        "line 1: unexpected end of table name (table names cannot be empty)",
    ),
    (
        "[.a]\n",
        "line 1: unexpected table separator (table names cannot be empty)",
    ),
    (
        "a = \n",
        "line 1 (last key \"a\"): expected value but found '\\n' instead",
    ),
    (
        "a = ",
        "line 1 (last key \"a\"): unexpected EOF; expected value",
    ),
    (
        "a = foo\n",
        "line 1 (last key \"a\"): expected value but found \"foo\" instead",
    ),
    (
        "[x]\ny = tru\n",
        "line 2 (last key \"x.y\"): expected value but found \"tru\" instead",
    ),
    (
        "a = ,",
        "line 1 (last key \"a\"): expected value but found ',' instead",
    ),
    (
        "a = \"x\nb=1",
        "line 1 (last key \"a\"): strings cannot contain newlines",
    ),
    (
        "a = \"x",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"'",
    ),
    (
        "a = 'x",
        "line 1 (last key \"a\"): unexpected EOF; expected \"'\"",
    ),
    (
        "a = \"\\q\"\n",
        "line 1 (last key \"a\"): invalid escape in string '\\q'",
    ),
    (
        "[a] b\n",
        "line 1 (last key \"a\"): expected a top-level item to end with a newline, comment, or EOF, but got 'b' instead",
    ),
    (
        "[t]\na = 1\na = 2\n",
        "line 3 (last key \"t.a\"): Key 't.a' has already been defined.",
    ),
    ("[a]\n[a]\n", "line 2: Key 'a' has already been defined."),
    (
        "a = 99999999999999999999\n",
        "line 1 (last key \"a\"): 99999999999999999999 is out of range for int64",
    ),
    (
        "a = 1e999\n",
        "line 1 (last key \"a\"): 1e999 is out of range for float64",
    ),
    (
        "[x]\na\n",
        "line 2 (last key \"x\"): expected '.' or '=', but got '\\n' instead",
    ),
    (
        "{\"l\":1}\n",
        "line 1: expected '.' or '=', but got '{' instead",
    ),
    (
        "[a b]\n",
        "line 1: expected '.' or ']' to end table name, but got 'b' instead",
    ),
    (
        "a = [\n  \"x\"\n  \"y\",\n]",
        "line 3 (last key \"a\"): expected a comma (',') or array terminator (']'), but got '\"'",
    ),
    (
        "a = [1,\n",
        "line 1 (last key \"a\"): unexpected EOF; expected value",
    ),
    (
        "a = [1",
        "line 1 (last key \"a\"): expected a comma (',') or array terminator (']'), but got end of file",
    ),
    ("a = [,1]", "line 1 (last key \"a\"): unexpected comma"),
    (
        "a = [\"x",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"'",
    ),
    (
        "a = \"\"\"x",
        "line 1 (last key \"a\"): unexpected EOF; expected '\"\"\"'",
    ),
    (
        "[x]\na = \"\u{1}\"\n",
        "line 2 (last key \"x.a\"): TOML files cannot contain control characters: '0x01'",
    ),
    (
        "a = 1\rb = 2",
        "line 1 (last key \"a\"): TOML files cannot contain control characters: '0x0d'",
    ),
    (
        "a == 1",
        "line 1 (last key \"a\"): expected value but found '=' instead",
    ),
];

#[test]
fn syntax_errors_are_worded_as_the_reference_words_them() {
    for (text, expected) in SYNTAX {
        let error = Document::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("toml: {expected}"), "{text:?}");
    }
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Sample {
    id: String,
    clear_env: bool,
    count: i64,
    ratio: f64,
    list: Vec<String>,
    maybe: Option<bool>,
    inner: Inner,
    inners: Vec<Inner>,
    free: toml::Table,
    value: Option<toml::Value>,
    map: BTreeMap<String, Inner>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Inner {
    name: String,
}

#[test]
fn keys_match_exactly_or_else_without_regard_to_case() {
    let cases = [
        ("id = 'x'", "x"),
        ("ID = 'x'", "x"),
        ("Id = 'x'\nid = 'y'", "y"),
        ("id = 'y'\nID = 'x'", "y"),
        ("unknown = 'x'", ""),
        ("", ""),
        ("\u{feff}id = 'x'", "x"),
        ("i-d = 'x'", ""),
    ];
    for (text, id) in cases {
        assert_eq!(from_str::<Sample>(text).unwrap().id, id, "{text}");
    }
    let sample: Sample =
        from_str("Clear-Env = true\n[INNER]\nNAME = 'n'\n[[Inners]]\nName = 'm'").unwrap();
    assert!(sample.clear_env);
    assert_eq!(sample.inner.name, "n");
    assert_eq!(sample.inners[0].name, "m");
}

#[test]
fn free_form_tables_keep_keys_and_types() {
    let text =
        "[free]\nKey = 3\nkey = 3.0\nwhen = 1979-05-27\n[free.Sub]\nA = [1, 'x']\n[value]\nB = 1";
    let sample: Sample = from_str(text).unwrap();
    let expected: toml::Table = toml::from_str(text).unwrap();
    assert_eq!(Some(&toml::Value::Table(sample.free)), expected.get("free"));
    assert_eq!(sample.value.as_ref(), expected.get("value"));
}

#[test]
fn absent_and_empty_are_told_apart() {
    assert_eq!(from_str::<Sample>("").unwrap().maybe, None);
    assert_eq!(
        from_str::<Sample>("maybe = false").unwrap().maybe,
        Some(false)
    );
    assert_eq!(
        from_str::<Sample>("ratio = 2").unwrap().ratio.to_bits(),
        2.0_f64.to_bits()
    );
}

/// Values of the wrong type and what the reference's library says of them.
const TYPES: &[(&str, &str)] = &[
    (
        "id = 1",
        "line 1 (last key \"id\"): incompatible types: TOML value has type int64; destination has type string",
    ),
    (
        "\nID = 1.5",
        "line 2 (last key \"ID\"): incompatible types: TOML value has type float64; destination has type string",
    ),
    (
        "id = 1979-05-27",
        "line 1 (last key \"id\"): incompatible types: TOML value has type time.Time; destination has type string",
    ),
    (
        "id = true",
        "line 1 (last key \"id\"): incompatible types: TOML value has type bool; destination has type string",
    ),
    (
        "[id]",
        "line 1 (last key \"id\"): incompatible types: TOML value has type map[string]any; destination has type string",
    ),
    (
        "[[id]]",
        "line 1 (last key \"id\"): incompatible types: TOML value has type []map[string]any; destination has type string",
    ),
    (
        "list = 'x'",
        "line 1 (last key \"list\"): incompatible types: TOML value has type string; destination has type slice",
    ),
    (
        "list = ['x',\n2]",
        "line 1 (last key \"list\"): incompatible types: TOML value has type int64; destination has type string",
    ),
    (
        "clear-env = 'x'",
        "line 1 (last key \"clear-env\"): incompatible types: TOML value has type string; destination has type boolean",
    ),
    (
        "count = 1.0",
        "line 1 (last key \"count\"): incompatible types: TOML value has type float64; destination has type integer",
    ),
    (
        "ratio = 'x'",
        "line 1 (last key \"ratio\"): incompatible types: TOML value has type string; destination has type float",
    ),
    (
        "[inner]\nname = []",
        "line 2 (last key \"inner.name\"): incompatible types: TOML value has type []any; destination has type string",
    ),
    // The line of a list's key is the one of its last element.
    (
        "[[inners]]\nname = 1\n[[inners]]\nname = 'x'",
        "line 4 (last key \"inners.name\"): incompatible types: TOML value has type int64; destination has type string",
    ),
    (
        "[map.\"a b\"]\nname = 1",
        "line 2 (last key \"map.\\\"a b\\\".name\"): incompatible types: TOML value has type int64; destination has type string",
    ),
    (
        "inner = 'x'",
        "line 1 (last key \"inner\"): type mismatch for Inner: expected table but found string",
    ),
];

#[test]
fn wrong_types_name_line_and_last_key() {
    for (text, expected) in TYPES {
        let error = from_str::<Sample>(text).unwrap_err().to_string();
        assert_eq!(error, format!("toml: {expected}"), "{text:?}");
    }
}

/// The reference names the last line of a key; people are told the line that is wrong.
#[test]
fn problems_are_told_in_plain_words_with_their_own_line() {
    #[derive(Debug, Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct File {
        item: Vec<Item>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Item {
        name: String,
        flag: bool,
        list: Vec<String>,
        sub: Sub,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sub {
        number: u8,
    }
    let table = [
        (
            "[[item]]\nname = 1\n[[item]]\nname = 'a'",
            2,
            "\"item.name\" is an integer, not a string",
        ),
        (
            "[[item]]\n[[item]]\nflag = 'a'\n[[item]]\nflag = true",
            3,
            "\"item.flag\" is a string, not true or false",
        ),
        (
            "item = [\n  {},\n  {list = 'a'}\n]",
            3,
            "\"item.list\" is a string, not an array",
        ),
        (
            "[[item]]\nlist = [\n'a',\n  true]",
            4,
            "an item of \"item.list\" is true, not a string",
        ),
        (
            "[[item]]\nsub = 1.5",
            2,
            "\"item.sub\" is a number with a point, not a table",
        ),
        (
            "[[item]]\n[item.sub]\nnumber = 1979-05-27",
            3,
            "\"item.sub.number\" is a date or time, not an integer",
        ),
        ("item = {}", 1, "\"item\" is a table, not an array"),
        (
            "\n[a",
            2,
            "expected '.' or ']' to end table name, but got '\\x00' instead",
        ),
    ];
    for (text, line, problem) in table {
        let error = from_str::<File>(text).unwrap_err();
        assert_eq!(
            (error.line, error.problem.as_str()),
            (line, problem),
            "{text}"
        );
    }
    let error = from_str::<File>("[[item]]\n[item.sub]\nnumber = 256").unwrap_err();
    assert_eq!(error.line, 3);
    assert!(
        error.problem.starts_with("\"item.sub.number\": "),
        "{}",
        error.problem
    );
}

#[test]
fn what_is_no_table_leaves_a_free_form_one_empty() {
    assert_eq!(from_str::<Sample>("free = 'x'").unwrap(), Sample::default());
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let error = Document::parse_bytes(b"a = 1\nb = \"\xff\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        "toml: line 2 (last key \"b\"): invalid UTF-8 byte: 0xff"
    );
}

#[test]
fn files_are_named_where_they_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    let error = from_file::<Sample>(&path).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(
        error.to_string(),
        format!("open {}: no such file or directory", path.display())
    );
    fs_err::write(&path, "= 1").unwrap();
    let error = from_file::<Sample>(&path).unwrap_err();
    assert!(!error.is_not_found());
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let depth = 100_000;
    let texts = [
        format!("a = {}", "[".repeat(depth)),
        format!("a = {}", "{a = ".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
        format!("[[{}a]]", "a.".repeat(depth)),
        "[a]\n".repeat(depth),
        "=".repeat(depth),
        "\"".repeat(depth),
    ];
    for text in texts {
        from_str::<toml::Table>(&text).unwrap_err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "[a-c=\\.\\[\\]{}\"'#\\\\ \n\r\t0-9é,_+:TZ-]{0,40}") {
        if let Err(error) = from_str::<Sample>(&text) {
            prop_assert!(error.message.starts_with("toml: "), "{}", error);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _result = Document::parse_bytes(&bytes);
    }
}
