//! The certificates that hosts are checked with: the system's, as programs in Go find them.
//!
//! The first bundle that exists counts, and all files of the directories beside it. `SSL_CERT_FILE` takes the place of
//! the bundle and `SSL_CERT_DIR` that of the directories, each by itself: a CA of one's own in the one does not shut the
//! world's out.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use ureq::tls::{Certificate, PemItem, parse_pem};

/// Where distributions have all certificates in one file.
const BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where they have a file each.
const DIRECTORIES: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// Which certificates are trusted. Nothing is read before a host is spoken to by TLS.
#[derive(Clone, Debug)]
pub struct Trust {
    bundles: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    /// A bundle that somebody named must be there.
    is_named: bool,
}

impl Default for Trust {
    fn default() -> Self {
        Self::of(|_| None)
    }
}

impl Trust {
    /// Returns what `SSL_CERT_FILE` and `SSL_CERT_DIR` say, and the system's where they say nothing; `variable` gives their values.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let given = |name: &str| variable(name).filter(|it| !it.is_empty());
        let file = given("SSL_CERT_FILE");
        let is_named = file.is_some();
        let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect();
        Self {
            bundles: file.map_or_else(|| paths(&BUNDLES), |it| vec![it.into()]),
            directories: given("SSL_CERT_DIR").map_or_else(|| paths(&DIRECTORIES), |it| split(&it)),
            is_named,
        }
    }

    /// Reads the certificates, each once. What is no certificate is passed over, as everywhere.
    pub(crate) fn load(&self) -> io::Result<Vec<Certificate<'static>>> {
        let mut found = Found::default();
        for bundle in &self.bundles {
            match fs::read(bundle) {
                Ok(bytes) => {
                    found.add(&bytes);
                    break;
                }
                Err(error) if self.is_named => return Err(error),
                Err(_) => {}
            }
        }
        for path in self.directories.iter().flat_map(|it| files(it)) {
            if let Ok(bytes) = fs::read(path) {
                found.add(&bytes);
            }
        }
        Ok(found.certificates)
    }
}

#[derive(Default)]
struct Found {
    seen: BTreeSet<Vec<u8>>,
    certificates: Vec<Certificate<'static>>,
}

impl Found {
    fn add(&mut self, pem: &[u8]) {
        for item in parse_pem(pem) {
            if let Ok(PemItem::Certificate(certificate)) = item
                && self.seen.insert(certificate.der().to_vec())
            {
                self.certificates.push(certificate);
            }
        }
    }
}

/// Returns the files of a directory, but for links to others in it, which are the same certificates by another name.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let is_alias = |path: &Path| {
        fs::read_link(path).is_ok_and(|target| target.parent() == Some(Path::new("")))
    };
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| !is_alias(path) && path.is_file())
        .collect();
    paths.sort();
    paths
}

fn split(list: &OsStr) -> Vec<PathBuf> {
    let parts = list.as_bytes().split(|it| *it == b':');
    let parts = parts.filter(|it| !it.is_empty());
    parts.map(|it| OsStr::from_bytes(it).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(bytes: &str) -> String {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(bytes);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn file_and_directories_count_each_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("a")).unwrap();
        fs::create_dir(path("b")).unwrap();
        fs::write(path("own.pem"), pem("own") + &pem("twice")).unwrap();
        fs::write(path("a/1.pem"), pem("first")).unwrap();
        fs::write(path("b/2.pem"), format!("rubbish\n{}", pem("twice"))).unwrap();
        fs::write(path("b/3.txt"), "rubbish").unwrap();
        std::os::unix::fs::symlink("1.pem", path("a/alias")).unwrap();
        std::os::unix::fs::symlink("/no/such", path("a/dangling")).unwrap();

        let directories = format!("{}::{}", path("a").display(), path("b").display());
        let trust = Trust::of(|name| match name {
            "SSL_CERT_FILE" => Some(path("own.pem").into()),
            "SSL_CERT_DIR" => Some(directories.clone().into()),
            _ => None,
        });
        let found: Vec<_> = trust.load().unwrap();
        let found: Vec<_> = found.iter().map(Certificate::der).collect();
        let expected: [&[u8]; 3] = [b"own", b"twice", b"first"];
        assert_eq!(found, expected);

        let file_only = Trust::of(|name| (name == "SSL_CERT_FILE").then(|| "/x".into()));
        assert_eq!(file_only.directories, DIRECTORIES.map(PathBuf::from));
        let error = file_only.load().unwrap_err().to_string();
        assert!(error.contains("/x"), "{error}");
        let empty = Trust::of(|_| Some(OsString::new()));
        assert_eq!(empty.bundles, BUNDLES.map(PathBuf::from));
    }
}
