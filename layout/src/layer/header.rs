//! The header blocks of one entry, as Go's archive/tar writes them (EXP-030 to EXP-042).
//!
//! USTAR if everything fits, otherwise a PAX record in front of a header that holds what it can. The
//! `tar` crate's [`Header`] serves as the byte layout only: its own writer speaks another dialect
//! (GNU long names, checksums of seven digits, relative paths).

use std::os::unix::ffi::OsStrExt as _;

use tar::{EntryType, Header};

use super::{Entry, EntryKind, Error};

/// 1980-01-01T00:00:01Z, the time of every entry (EXP-030).
const MTIME: u64 = 315_532_801;

/// Bytes of a block: a header is one, contents are padded to whole ones.
pub(super) const BLOCK: usize = 512;

const NAME_LEN: usize = 100;
const PREFIX_LEN: usize = 155;

/// Largest number in a field of 8 bytes: 7 octal digits and NUL.
const MAX_ID: u64 = 0o7_777_777;
/// Largest number in a field of 12 bytes: 11 octal digits and NUL.
const MAX_SIZE: u64 = 0o77_777_777_777;

/// Appends the header of `entry` to `out`: one block, or three and more where PAX is needed.
pub(super) fn append(entry: &Entry, out: &mut Vec<u8>) -> Result<(), Error> {
    let fields = Fields::of(entry)?;
    if let Some((prefix, name)) = fields.ustar_name() {
        out.extend_from_slice(fields.block(prefix, name, fields.link).as_bytes());
        return Ok(());
    }
    append_pax(fields.name, &fields.records(), out);
    let block = fields.block(b"", &to_ascii(fields.name), &to_ascii(fields.link));
    out.extend_from_slice(block.as_bytes());
    Ok(())
}

/// Returns the bytes that [`append`] appends.
pub(super) fn len(entry: &Entry) -> Result<usize, Error> {
    if Fields::of(entry)?.ustar_name().is_some() {
        return Ok(BLOCK);
    }
    let mut header = Vec::new();
    append(entry, &mut header)?;
    Ok(header.len())
}

/// An entry in the tar's own terms.
struct Fields<'a> {
    name: &'a [u8],
    link: &'a [u8],
    mode: u64,
    uid: u64,
    gid: u64,
    size: u64,
    kind: EntryType,
    device: (u64, u64),
}

impl<'a> Fields<'a> {
    fn of(entry: &'a Entry) -> Result<Self, Error> {
        let refuse = |reason| Error::Unrepresentable {
            entry: entry.name.to_path_buf(),
            reason,
        };
        let (kind, link, size, device): (_, &[u8], _, _) = match &entry.kind {
            EntryKind::Directory => (EntryType::Directory, b"", 0, (0, 0)),
            EntryKind::File { size, .. } => (EntryType::Regular, b"", *size, (0, 0)),
            EntryKind::Symlink { target } => {
                let target = target.as_os_str().as_bytes();
                (EntryType::Symlink, target, 0, (0, 0))
            }
            EntryKind::Fifo => (EntryType::Fifo, b"", 0, (0, 0)),
            &EntryKind::CharDevice { major, minor } => {
                (EntryType::Char, b"", 0, (major.into(), minor.into()))
            }
            &EntryKind::BlockDevice { major, minor } => {
                (EntryType::Block, b"", 0, (major.into(), minor.into()))
            }
        };
        let name = entry.name.as_os_str().as_bytes();
        if has_nul(name) || has_nul(link) {
            return Err(refuse("there is a NUL byte in its name or target"));
        }
        if device.0 > MAX_ID || device.1 > MAX_ID {
            return Err(refuse("its device number is too large"));
        }
        Ok(Self {
            name,
            link,
            mode: u64::from(entry.mode & 0o7777),
            uid: entry.uid.into(),
            gid: entry.gid.into(),
            size,
            kind,
            device,
        })
    }

    /// Returns the PAX records of all that its field cannot hold, in key order (EXP-039, EXP-040).
    ///
    /// A name that is only too long is among them even if it could be split: it is recorded where
    /// something else needs PAX.
    fn records(&self) -> Vec<(&'static str, Vec<u8>)> {
        let text = |value: &[u8]| (!fits_text(value)).then(|| value.to_vec());
        let number = |value: u64, max| (value > max).then(|| value.to_string().into_bytes());
        [
            ("gid", number(self.gid, MAX_ID)),
            ("linkpath", text(self.link)),
            ("path", text(self.name)),
            ("size", number(self.size, MAX_SIZE)),
            ("uid", number(self.uid, MAX_ID)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    /// Returns prefix and name where USTAR has room for everything (EXP-038).
    fn ustar_name(&self) -> Option<(&'a [u8], &'a [u8])> {
        let rest_fits =
            fits_text(self.link) && self.uid.max(self.gid) <= MAX_ID && self.size <= MAX_SIZE;
        if !rest_fits {
            None
        } else if fits_text(self.name) {
            Some((b"", self.name))
        } else {
            split_name(self.name)
        }
    }

    fn block(&self, prefix: &[u8], name: &[u8], link: &[u8]) -> Header {
        let mut header = Header::new_ustar();
        let fields = ustar(&mut header);
        put_text(&mut fields.name, name);
        put_octal(&mut fields.mode, self.mode);
        put_octal(&mut fields.uid, self.uid);
        put_octal(&mut fields.gid, self.gid);
        put_octal(&mut fields.size, self.size);
        put_octal(&mut fields.mtime, MTIME);
        fields.typeflag = [self.kind.as_byte()];
        put_text(&mut fields.linkname, link);
        put_octal(&mut fields.dev_major, self.device.0);
        put_octal(&mut fields.dev_minor, self.device.1);
        put_text(&mut fields.prefix, prefix);
        put_checksum(&mut header);
        header
    }
}

/// Appends the extended header: a block of its own and the records in whole blocks (EXP-041).
fn append_pax(name: &[u8], records: &[(&'static str, Vec<u8>)], out: &mut Vec<u8>) {
    let data: Vec<u8> = records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect();
    let mut header = Header::new_ustar();
    let fields = ustar(&mut header);
    put_text(&mut fields.name, &pax_name(name));
    for field in [&mut fields.mode, &mut fields.uid, &mut fields.gid] {
        put_octal(field, 0);
    }
    put_octal(&mut fields.size, data.len() as u64);
    put_octal(&mut fields.mtime, 0);
    fields.typeflag = [EntryType::XHeader.as_byte()];
    put_checksum(&mut header);

    out.extend_from_slice(header.as_bytes());
    let end = out.len() + data.len().next_multiple_of(BLOCK);
    out.extend_from_slice(&data);
    out.resize(end, 0);
}

/// Returns `<directory>/PaxHeaders.0/<base>` in ASCII, at most 100 bytes, without slashes at its end.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let base = name
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |i| i + 1);
    let mut pax = to_ascii(&[&name[..base], b"PaxHeaders.0/", &name[base..]].concat());
    pax.truncate(NAME_LEN);
    let len = trimmed_len(&pax);
    pax.truncate(len);
    pax
}

/// Returns `<len> <key>=<value>\n`, whose length counts its own digits.
fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = " =\n".len() + key.len() + value.len();
    let mut len = rest + digits(rest);
    len = rest + digits(len);
    [format!("{len} {key}=").as_bytes(), value, b"\n"].concat()
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Splits an ASCII name of more than 100 bytes into USTAR's prefix and name; the slash between is in neither (EXP-038).
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_LEN || !name.is_ascii() {
        return None;
    }
    let head = &name[..name.len().min(PREFIX_LEN + 1)];
    let slash = head.iter().rposition(|&byte| byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && (1..=NAME_LEN).contains(&rest.len())).then_some((prefix, rest))
}

fn fits_text(text: &[u8]) -> bool {
    text.is_ascii() && text.len() <= NAME_LEN
}

/// Drops what is not ASCII, byte by byte: so text that is no UTF-8 loses the same bytes as in Go.
fn to_ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

/// Returns the length of `text` without slashes at its end.
fn trimmed_len(text: &[u8]) -> usize {
    text.iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |i| i + 1)
}

/// Writes `text`, cut to the field; a slash that lands on the last byte of it becomes NUL (EXP-042).
fn put_text(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
    if text.len() > len && field[len - 1] == b'/' {
        let end = trimmed_len(&field[..len - 1]);
        field[end] = 0;
    }
}

/// Writes octal digits and NUL; zero if the number does not fit, a PAX record holds it then.
fn put_octal(field: &mut [u8], number: u64) {
    let (end, digits) = field.split_last_mut().expect("a field has bytes");
    *end = 0;
    let bits = 3 * digits.len();
    let mut rest = if bits < 64 && number >> bits != 0 {
        0
    } else {
        number
    };
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

/// Writes the sum of all bytes, the field itself counted as blanks: six digits, NUL, blank.
fn put_checksum(header: &mut Header) {
    let fields = ustar(header);
    fields.cksum = *b"        ";
    let sum = sum(header.as_bytes());
    let fields = ustar(header);
    put_octal(&mut fields.cksum[..7], sum);
}

/// Returns the sum of all bytes.
///
/// Eight at a time, as four sums of 16 bits each, of which every one has room for twice 64 bytes: one byte at a time was
/// three per cent of what it takes to hash small files.
fn sum(block: &[u8; BLOCK]) -> u64 {
    const EVERY_OTHER: u64 = 0x00ff_00ff_00ff_00ff;
    let (words, _) = block.as_chunks();
    let sums = words.iter().fold(0, |sums: u64, &word| {
        let word = u64::from_le_bytes(word);
        sums + (word & EVERY_OTHER) + (word >> 8 & EVERY_OTHER)
    });
    (0..4).map(|lane| sums >> (16 * lane) & 0xffff).sum()
}

fn has_nul(text: &[u8]) -> bool {
    memchr::memchr(0, text).is_some()
}

fn ustar(header: &mut Header) -> &mut tar::UstarHeader {
    header.as_ustar_mut().expect("made by new_ustar")
}

#[cfg(test)]
mod tests;
