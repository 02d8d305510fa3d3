//! A tar archive as lines: every field that a reader could see, PAX records and the kind of header included.
//!
//! `type mode uid:gid size mtime name [-> link] [owner=] [dev=] [pax=keys] [fmt=] [sha=]`

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{lines, sha256, shown, shown_name};

/// Largest document that is shown beside its line.
const SHOWN: usize = 16_384;

/// An archive as lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// A line for each entry, and one for what follows the last.
    pub lines: Vec<String>,
    /// TOML and JSON files by name.
    pub texts: BTreeMap<String, Vec<String>>,
}

/// What stands in front of an entry and belongs to it.
#[derive(Default)]
struct Extended {
    pax: BTreeMap<String, Vec<u8>>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Lists an archive. One that is cut off is listed as far as it goes.
pub fn of(archive: &[u8]) -> Listing {
    let mut listing = Listing::default();
    let mut extended = Extended::default();
    let mut rest = archive;
    while let Some((header, behind)) = rest.split_first_chunk::<512>() {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        let header = Header(header);
        let size = usize::try_from(header.number(124, 136)).unwrap_or(usize::MAX);
        let body = &behind[..size.min(behind.len())];
        rest = behind.get(size.next_multiple_of(512)..).unwrap_or_default();
        match header.kind() {
            'x' => extended.pax = pax_records(body),
            'g' => listing.lines.push(format!("g {}", shown_name(body))),
            'L' => extended.name = Some(until_zero(body).to_vec()),
            'K' => extended.link = Some(until_zero(body).to_vec()),
            _ => listing.add(&header, size, body, &std::mem::take(&mut extended)),
        }
    }
    listing
        .lines
        .push(format!("end-of-archive bytes: {}", rest.len()));
    listing
}

impl Listing {
    fn add(&mut self, header: &Header<'_>, size: usize, body: &[u8], extended: &Extended) {
        let format = header.format();
        let mut short = header.field(0, 100).to_vec();
        if format == "ustar" && !header.field(345, 500).is_empty() {
            short = [header.field(345, 500), b"/", &short].concat();
        }
        let pax = |key: &str| extended.pax.get(key);
        let name = pax("path").or(extended.name.as_ref()).unwrap_or(&short);
        let target = pax("linkpath").or(extended.link.as_ref());
        let target = target.map_or(header.field(157, 257), Vec::as_slice);
        let number = |key, from, to| {
            pax(key).map_or_else(|| header.number(from, to).to_string(), |value| shown(value))
        };
        let mut line = format!(
            "{} {:04o} {}:{} {size} {} {}",
            header.kind(),
            header.number(100, 108),
            number("uid", 108, 116),
            number("gid", 116, 124),
            number("mtime", 136, 148),
            shown_name(name),
        );
        let mut and = |text: String| line.push_str(&text);
        if !target.is_empty() {
            and(format!(" -> {}", shown_name(target)));
        }
        let (user, group) = (header.field(265, 297), header.field(297, 329));
        if !(user.is_empty() && group.is_empty()) {
            and(format!(" owner={}:{}", shown_name(user), shown_name(group)));
        }
        let device = (header.number(329, 337), header.number(337, 345));
        if device != (0, 0) {
            and(format!(" dev={},{}", device.0, device.1));
        }
        if !extended.pax.is_empty() {
            let keys: Vec<_> = extended.pax.keys().map(String::as_str).collect();
            and(format!(" pax={}", keys.join(",")));
            if *name != short {
                and(format!(" shortname={}", shown_name(&short)));
            }
        }
        if format != "ustar" {
            and(format!(" fmt={format}"));
        }
        if extended.name.is_some() || extended.link.is_some() {
            and(" gnulong".to_owned());
        }
        if header.kind() == '0' && size > 0 {
            write!(line, " sha={}", &sha256(body)[..16]).expect("writing to a string cannot fail");
            let is_document = name.ends_with(b".toml") || name.ends_with(b".json");
            if is_document && size <= SHOWN {
                self.texts.insert(shown_name(name), lines(&shown(body)));
            }
        }
        self.lines.push(line);
    }
}

struct Header<'a>(&'a [u8; 512]);

impl Header<'_> {
    fn field(&self, from: usize, to: usize) -> &[u8] {
        until_zero(&self.0[from..to])
    }

    // Octal digits, or GNU's big-endian bytes behind a set bit.
    fn number(&self, from: usize, to: usize) -> u64 {
        let bytes = &self.0[from..to];
        if bytes[0] & 0x80 != 0 {
            let first = u64::from(bytes[0] & 0x7f);
            return bytes[1..]
                .iter()
                .fold(first, |sum, byte| (sum << 8) | u64::from(*byte));
        }
        let text = shown(bytes);
        let digits = text.trim_matches(['\0', ' ']);
        u64::from_str_radix(digits, 8).unwrap_or_default()
    }

    fn kind(&self) -> char {
        match self.0[156] {
            0 => '0',
            kind => char::from(kind),
        }
    }

    fn format(&self) -> &'static str {
        match &self.0[257..263] {
            b"ustar\0" => "ustar",
            b"ustar " => "gnu",
            _ => "v7",
        }
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

// `<length> <key>=<value>\n`, the length counting the record itself.
fn pax_records(mut body: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut records = BTreeMap::new();
    while let Some(space) = body.iter().position(|byte| *byte == b' ') {
        let length = shown(&body[..space]).parse().unwrap_or(0);
        let Some(record) = body.get(space + 1..length) else {
            break;
        };
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let mut parts = record.splitn(2, |byte| *byte == b'=');
        let key = parts.next().unwrap_or_default();
        records.insert(shown(key), parts.next().unwrap_or_default().to_vec());
        body = &body[length..];
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_shows() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o4755);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(9);
        header.set_size(3);
        header.set_username("u").unwrap();
        archive
            .append_data(&mut header.clone(), "a/x.toml", &b"a=1"[..])
            .unwrap();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive
            .append_link(&mut header.clone(), "a/l", "to")
            .unwrap();
        archive
            .append_pax_extensions([("uid", &b"3000000"[..]), ("path", &b"long\nname"[..])])
            .unwrap();
        header.set_entry_type(tar::EntryType::Char);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        header.set_cksum();
        archive.append(&header, &b""[..]).unwrap();
        let listing = of(&archive.into_inner().unwrap());
        assert_eq!(
            listing.lines,
            [
                "0 4755 7:8 3 9 a/x.toml owner=u: sha=c22fea5d7428e5cf",
                "2 4755 7:8 0 9 a/l -> to owner=u:",
                "3 4755 3000000:8 0 9 long\\nname owner=u: dev=1,3 pax=path,uid shortname=",
                "end-of-archive bytes: 1024",
            ]
        );
        assert_eq!(
            listing.texts,
            BTreeMap::from([("a/x.toml".to_owned(), vec!["a=1".to_owned()])])
        );
    }
}
