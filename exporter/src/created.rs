//! When an image says that it was made (EXP-063, EXP-064).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use layout::config::CREATED;

/// Returns `created` for an image: `SOURCE_DATE_EPOCH` in this machine's time zone, if it is a number of seconds.
///
/// The zone is what `TZ`, else `/etc/localtime`, says; it decides the text and so the image's digest.
pub fn created(source_date_epoch: Option<&str>) -> String {
    created_in(source_date_epoch, &TimeZone::system())
}

fn created_in(source_date_epoch: Option<&str>, zone: &TimeZone) -> String {
    let Some(epoch) = source_date_epoch else {
        return CREATED.to_owned();
    };
    let time = parse(epoch).and_then(|time| rfc3339(time, zone));
    time.unwrap_or_else(|| {
        tracing::warn!("Ignoring invalid SOURCE_DATE_EPOCH");
        CREATED.to_owned()
    })
}

fn parse(epoch: &str) -> Option<Timestamp> {
    Timestamp::from_second(epoch.parse().ok()?).ok()
}

/// Writes a time as Go does: `Z` for every zone that is at UTC then, otherwise hours and minutes. RFC 3339 has no
/// years before 0.
fn rfc3339(time: Timestamp, zone: &TimeZone) -> Option<String> {
    let offset = zone.to_offset(time);
    let local = offset.to_datetime(time);
    if local.year() < 0 {
        return None;
    }
    let minutes = offset.seconds() / 60;
    let suffix = if offset.seconds() == 0 {
        "Z".to_owned()
    } else {
        let sign = if offset.seconds() < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    };
    Some(format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{suffix}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_follows_epoch_and_zone() {
        let new_york = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("zone");
        let kathmandu = TimeZone::posix("<+0545>-5:45").expect("zone");
        let cases = [
            (None, &TimeZone::UTC, CREATED),
            (Some("0"), &TimeZone::UTC, "1970-01-01T00:00:00Z"),
            (Some("1234567890"), &TimeZone::UTC, "2009-02-13T23:31:30Z"),
            (Some("1700000000"), &new_york, "2023-11-14T17:13:20-05:00"),
            (Some("1690000000"), &new_york, "2023-07-22T00:26:40-04:00"),
            (Some("0"), &kathmandu, "1970-01-01T05:45:00+05:45"),
            (Some("-1"), &TimeZone::UTC, "1969-12-31T23:59:59Z"),
            // The first second of year 0, and the one before it.
            (Some("-62167219200"), &TimeZone::UTC, "0000-01-01T00:00:00Z"),
            (Some("-62167219201"), &TimeZone::UTC, CREATED),
            (Some("1.5"), &TimeZone::UTC, CREATED),
            (Some("yesterday"), &TimeZone::UTC, CREATED),
            (Some("99999999999999999"), &TimeZone::UTC, CREATED),
        ];
        for (epoch, zone, expected) in cases {
            assert_eq!(created_in(epoch, zone), expected, "{epoch:?}");
        }
    }
}
