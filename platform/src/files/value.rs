//! Free-form values: tables of buildpacks that travel from TOML into a label's JSON and back (EXP-077, BPB-064).
//!
//! Integers stay integers both ways. A date or time becomes a text and stays one.

use toml::value::{Datetime, Offset};

/// A number that JSON cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("json: unsupported value: {0}")]
pub struct Error(String);

/// Returns a TOML value as JSON; infinities and NaN are an error.
pub fn to_json(value: &toml::Value) -> Result<serde_json::Value, Error> {
    Ok(match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .ok_or_else(|| Error(number.to_string()))?
            .into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(when) => rfc3339(when).into(),
        toml::Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(to_json).collect();
            items?.into()
        }
        toml::Value::Table(table) => table_to_json(table)?,
    })
}

/// Returns a TOML table as a JSON object.
pub fn table_to_json(table: &toml::Table) -> Result<serde_json::Value, Error> {
    let members: Result<serde_json::Map<_, _>, _> = table
        .iter()
        .map(|(key, value)| Ok((key.clone(), to_json(value)?)))
        .collect();
    Ok(members?.into())
}

/// Returns a JSON value as TOML, which has no null: `None` for null itself, members and items that are null are left out.
pub fn from_json(value: &serde_json::Value) -> Option<toml::Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => (*flag).into(),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => items
            .iter()
            .filter_map(from_json)
            .collect::<Vec<_>>()
            .into(),
        serde_json::Value::Object(members) => members
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), from_json(value)?)))
            .collect::<toml::Table>()
            .into(),
    })
}

/// Returns a date or time as Go's JSON has it: what is missing is year 0, midnight, UTC.
fn rfc3339(when: &Datetime) -> String {
    let (year, month, day) = when
        .date
        .map_or((0, 1, 1), |date| (date.year, date.month, date.day));
    let (hour, minute, second, nanosecond) = when.time.map_or((0, 0, 0, 0), |time| {
        let second = time.second.unwrap_or_default();
        (
            time.hour,
            time.minute,
            second,
            time.nanosecond.unwrap_or_default(),
        )
    });
    let fraction = format!(".{nanosecond:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let zone = match when.offset {
        Some(Offset::Custom { minutes }) if minutes != 0 => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
        _ => "Z".to_owned(),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json_of(toml: &str) -> serde_json::Value {
        let table: toml::Table = toml.parse().unwrap();
        to_json(&table["x"]).unwrap()
    }

    /// Right-hand sides are what Go's `encoding/json` prints for the value that BurntSushi/toml decodes.
    #[test]
    fn dates_and_times_become_texts() {
        let cases = [
            ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02T03:04:05.500Z", "2024-01-02T03:04:05.5Z"),
            ("2024-01-02T03:04:05+02:00", "2024-01-02T03:04:05+02:00"),
            (
                "2024-01-02 03:04:05.123456789-00:30",
                "2024-01-02T03:04:05.123456789-00:30",
            ),
            ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z"),
            ("2024-01-02", "2024-01-02T00:00:00Z"),
            ("03:04:05", "0000-01-01T03:04:05Z"),
        ];
        for (toml, expected) in cases {
            assert_eq!(json_of(&format!("x = {toml}")), expected, "{toml}");
        }
    }

    #[test]
    fn integers_stay_integers() {
        assert_eq!(
            json_of("x = 9007199254740993").to_string(),
            "9007199254740993"
        );
        let back = from_json(&serde_json::json!(9_007_199_254_740_993_i64));
        assert_eq!(back, Some(toml::Value::Integer(9_007_199_254_740_993)));
        // Beyond TOML's range there is nothing better.
        let huge = from_json(&serde_json::json!(u64::MAX));
        assert_eq!(huge, Some(toml::Value::Float(18_446_744_073_709_551_615.0)));
    }

    #[test]
    fn null_is_left_out() {
        let json = serde_json::json!({"a": null, "b": [null, 1], "c": {"d": null}});
        let expected: toml::Table = "b = [1]\nc = {}".parse().unwrap();
        assert_eq!(from_json(&json), Some(expected.into()));
        assert_eq!(from_json(&serde_json::Value::Null), None);
    }

    #[test]
    fn numbers_that_json_lacks_are_errors() {
        for number in ["nan", "inf", "-inf"] {
            let table: toml::Table = format!("x = [{{y = {number}}}]").parse().unwrap();
            assert!(to_json(&table["x"]).is_err(), "{number}");
        }
    }

    fn any_value() -> impl Strategy<Value = toml::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(toml::Value::Integer),
            any::<bool>().prop_map(toml::Value::Boolean),
            ".*".prop_map(toml::Value::String),
            (-1e9..1e9).prop_map(toml::Value::Float),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(toml::Value::Array),
                prop::collection::btree_map(".{0,8}", inner, 0..4)
                    .prop_map(|table| toml::Value::Table(table.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_and_back_is_the_same(value in any_value()) {
            let json = to_json(&value).unwrap();
            prop_assert_eq!(from_json(&json), Some(value));
        }
    }
}
