//! Reading a tar from somewhere else: one entry after the other, as Go's archive/tar understands it.
//!
//! The `tar` crate's [`tar::Header`] serves as the byte layout only: its reader keeps names of any length in memory,
//! which a few compressed bytes can make larger than the machine. Here every extended header ends at [`MAX_EXTENDED`].

use std::io::{self, BufRead};

use tar::{EntryType, Header};

use super::header::BLOCK;

/// Bytes of an extended header at most, as Go's archive/tar has it: names and links are far shorter.
pub(super) const MAX_EXTENDED: u64 = 1 << 20;

/// A tar that is read once, from front to end.
#[derive(Debug)]
pub(super) struct Archive<R> {
    input: R,
    /// Bytes of the present entry's contents that were not read yet, and what pads them.
    left: u64,
    padding: u64,
}

/// What an archive says about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// [`EntryType::Directory`] too for a file whose name ends in a slash in archives older than USTAR.
    pub(super) kind: EntryType,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    /// Permission, set-id and sticky bits.
    pub(super) mode: u32,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) mtime: Time,
    /// True if its contents are not simply the file's bytes.
    pub(super) sparse: bool,
}

/// Seconds since 1970, and nanoseconds after that second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// What extended headers say about the entry after them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<i64>,
    uid: Option<i64>,
    gid: Option<i64>,
    mtime: Option<Time>,
    sparse: bool,
}

impl<R: BufRead> Archive<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            left: 0,
            padding: 0,
        }
    }

    /// Returns the next entry; contents of the one before that were not read are passed over.
    pub(super) fn next_head(&mut self) -> io::Result<Option<Head>> {
        let mut extended = Extended::default();
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let fields = header.as_old();
            let kind = EntryType::new(fields.linkflag[0]);
            match kind {
                EntryType::XGlobalHeader => {
                    self.begin(number(&fields.size).and_then(length)?);
                }
                EntryType::XHeader => {
                    let text = self.extended(&fields.size)?;
                    extended = Extended {
                        name: extended.name,
                        link: extended.link,
                        ..Extended::default()
                    };
                    extended.pax(&text)?;
                }
                EntryType::GNULongName => {
                    extended.name = Some(until_nul(&self.extended(&fields.size)?).to_vec());
                }
                EntryType::GNULongLink => {
                    extended.link = Some(until_nul(&self.extended(&fields.size)?).to_vec());
                }
                _ => {
                    let size = match extended.size {
                        Some(size) => size,
                        None => number(&fields.size)?,
                    };
                    self.begin(if has_contents(kind) { length(size)? } else { 0 });
                    return head(&header, extended).map(Some);
                }
            }
        }
    }

    /// Returns the next bytes of the entry's contents, as many as are at hand; none at their end.
    pub(super) fn fill(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let buffer = self.input.fill_buf()?;
        if buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let len = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        Ok(&buffer[..len])
    }

    /// Marks `len` of the bytes that [`Self::fill`] returned as read.
    pub(super) fn consume(&mut self, len: usize) {
        self.input.consume(len);
        self.left = self.left.saturating_sub(len as u64);
    }

    /// Reads what is behind the end of the archive: a reader that checks a digest does so at its own end.
    pub(super) fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self.input, &mut io::sink())?;
        Ok(())
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn pass(&mut self) -> io::Result<()> {
        while self.left > 0 {
            let len = self.fill()?.len();
            self.consume(len);
        }
        // Go, and so the field, forgives an archive that ends before its last padding.
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 {
            match self.fill() {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => self.left = 0,
                buffer => {
                    let len = buffer?.len();
                    self.consume(len);
                }
            }
        }
        Ok(())
    }

    /// Returns the next header; none at the end of the archive: blocks of zeros, or no bytes at all.
    fn header(&mut self) -> io::Result<Option<Header>> {
        self.pass()?;
        let Some(block) = self.block()? else {
            return Ok(None);
        };
        if block == [0; BLOCK] {
            return match self.block()? {
                None => Ok(None),
                Some(block) if block == [0; BLOCK] => Ok(None),
                Some(_) => Err(damaged("there is more behind its end")),
            };
        }
        let header = Header::from_byte_slice(&block).clone();
        if !checksum_fits(&block, number(&header.as_old().cksum)?) {
            return Err(damaged("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    fn block(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.input.read_exact(&mut block)?;
        Ok(Some(block))
    }

    fn extended(&mut self, size: &[u8]) -> io::Result<Vec<u8>> {
        let size = number(size).and_then(length)?;
        if size > MAX_EXTENDED {
            let text = format!("an extended header has {size} bytes, at most {MAX_EXTENDED}");
            return Err(damaged(text));
        }
        self.begin(size);
        let mut data = Vec::new();
        while self.left > 0 {
            let part = self.fill()?;
            data.extend_from_slice(part);
            let len = part.len();
            self.consume(len);
        }
        Ok(data)
    }
}

impl Extended {
    /// Takes records in: `<bytes of the record> <key>=<value>\n`.
    fn pax(&mut self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let (key, value, rest) =
                record(text).ok_or_else(|| damaged("a PAX record is malformed"))?;
            text = rest;
            if key.starts_with(b"GNU.sparse.") {
                self.sparse = true;
            }
            if value.is_empty() {
                continue;
            }
            let wrong = || {
                let key = String::from_utf8_lossy(key);
                damaged(format!("a PAX record has a {key} that is none"))
            };
            match key {
                b"path" | b"linkpath" if value.contains(&0) => return Err(wrong()),
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(decimal(value).ok_or_else(wrong)?),
                b"uid" => self.uid = Some(decimal(value).ok_or_else(wrong)?),
                b"gid" => self.gid = Some(decimal(value).ok_or_else(wrong)?),
                b"mtime" => self.mtime = Some(time(value).ok_or_else(wrong)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn head(header: &Header, extended: Extended) -> io::Result<Head> {
    let fields = header.as_old();
    let kind = EntryType::new(fields.linkflag[0]);
    let name = extended.name.unwrap_or_else(|| name(header));
    let is_old_directory = fields.linkflag[0] == 0 && name.ends_with(b"/");
    let or_field = |extended: Option<i64>, field: &[u8]| extended.map_or_else(|| number(field), Ok);
    Ok(Head {
        kind: if is_old_directory {
            EntryType::Directory
        } else {
            kind
        },
        mode: u32::try_from(number(&fields.mode)? & 0o7777).unwrap_or_default(),
        uid: or_field(extended.uid, &fields.uid)?,
        gid: or_field(extended.gid, &fields.gid)?,
        mtime: match extended.mtime {
            Some(time) => time,
            None => Time {
                seconds: number(&fields.mtime)?,
                nanoseconds: 0,
            },
        },
        link: extended
            .link
            .unwrap_or_else(|| until_nul(&fields.linkname).to_vec()),
        sparse: extended.sparse || kind == EntryType::GNUSparse,
        name,
    })
}

/// Returns the name in the header's own fields.
fn name(header: &Header) -> Vec<u8> {
    let name = until_nul(&header.as_old().name);
    match header.as_ustar().map(|ustar| until_nul(&ustar.prefix)) {
        Some(prefix) if !prefix.is_empty() => [prefix, b"/", name].concat(),
        _ => name.to_vec(),
    }
}

/// Tells if contents follow the header; elsewhere its size means nothing.
fn has_contents(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Block
            | EntryType::Char
            | EntryType::Directory
            | EntryType::Fifo
            | EntryType::Link
            | EntryType::Symlink
    )
}

/// Old writers summed bytes with a sign.
fn checksum_fits(block: &[u8; BLOCK], checksum: i64) -> bool {
    let bytes = || {
        block.iter().enumerate().map(|(at, &byte)| match at {
            148..156 => b' ',
            _ => byte,
        })
    };
    let unsigned: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    checksum == unsigned || checksum == signed
}

/// Returns the number in a field: octal digits, or base 256 if the first bit is set; 0 if it is empty.
fn number(field: &[u8]) -> io::Result<i64> {
    let wrong = || damaged("a number in a header is none");
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        let negative = first & 0x40 != 0;
        let sign = if negative { 0xff } else { 0 };
        let mut value = u64::from((first ^ sign) & 0x7f);
        for byte in rest {
            if value >> 55 != 0 {
                return Err(wrong());
            }
            value = value << 8 | u64::from(byte ^ sign);
        }
        let value = i64::try_from(value).map_err(|_| wrong())?;
        return Ok(if negative { !value } else { value });
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let begin = field.iter().position(|byte| !is_blank(byte));
    let Some(begin) = begin else {
        return Ok(0);
    };
    let digits = field[begin..].split(is_blank).next().unwrap_or_default();
    let text = std::str::from_utf8(digits).map_err(|_| wrong())?;
    if text.starts_with(['+', '-']) {
        return Err(wrong());
    }
    i64::from_str_radix(text, 8).map_err(|_| wrong())
}

fn length(number: i64) -> io::Result<u64> {
    u64::try_from(number).map_err(|_| damaged("a size is negative"))
}

/// Takes the first record off: key, value and what follows.
fn record(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let len = usize::try_from(decimal(&text[..space])?).ok()?;
    let record = text.get(space + 1..len)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], &text[len..]))
}

fn decimal(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Parses seconds with an optional fraction; digits after the ninth are cut off.
fn time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let (whole, nanoseconds): (i64, u32) = (seconds.parse().ok()?, nine.parse().ok()?);
    // -1.25 is a quarter before the second before.
    if text.starts_with('-') && nanoseconds > 0 {
        return Some(Time {
            seconds: whole.checked_sub(1)?,
            nanoseconds: 1_000_000_000 - nanoseconds,
        });
    }
    Some(Time {
        seconds: whole,
        nanoseconds,
    })
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn damaged(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

#[cfg(test)]
mod tests;
