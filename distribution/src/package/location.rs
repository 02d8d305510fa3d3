//! Where a package may be, in the words that pack's flags and files use.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use layout::{Digest, Selector};

/// Where a package is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the builder: `urn:cnb:builder:ID[@VERSION]`, `from=builder:ID[@VERSION]`; all of its order: `from=builder`.
    Builder {
        /// Id, and version if there is one.
        module: Option<(String, Option<String>)>,
    },
    /// An image by its name: `docker://NAME`; or as typed where the name says what has it: `docker-daemon:NAME`.
    Image(String),
    /// In an image layout: `oci:DIR`, with `:TAG` or `@DIGEST`.
    Layout(PathBuf, Box<Selector>),
    /// A name that is no file here: perhaps of a module in the builder ([`split_id`]), perhaps of an image.
    Named(String),
    /// A folder or a file.
    Path(PathBuf),
    /// In a buildpack registry: `urn:cnb:registry:ID[@VERSION]`.
    Registry(String),
    /// Elsewhere: `https:` and other URIs.
    Url(String),
}

impl Location {
    /// Understands a location; relative paths are from `relative_to`.
    pub fn parse(text: &str, relative_to: &Path) -> Self {
        if text == "from=builder" {
            return Self::Builder { module: None };
        }
        for prefix in ["urn:cnb:builder:", "from=builder:"] {
            if let Some(module) = text.strip_prefix(prefix) {
                let (id, version) = split_id(module);
                let module = (id.to_owned(), version.map(str::to_owned));
                return Self::Builder {
                    module: Some(module),
                };
            }
        }
        if let Some(id) = text.strip_prefix("urn:cnb:registry:") {
            return Self::Registry(id.to_owned());
        }
        if let Some(name) = text.strip_prefix("docker:") {
            return Self::Image(name.trim_start_matches('/').to_owned());
        }
        if text.starts_with("docker-daemon:") {
            return Self::Image(text.to_owned());
        }
        if let Some(uri) = text.strip_prefix("file:") {
            return match path_of_uri(uri) {
                Some(path) => Self::Path(path),
                None => Self::Url(text.to_owned()),
            };
        }
        if let Some(layout) = text.strip_prefix("oci:") {
            return layout_of(layout, relative_to);
        }
        if text.contains("://") {
            return Self::Url(text.to_owned());
        }
        let path = relative_to.join(text);
        if !text.is_empty() && (path.exists() || is_meant_as_path(text)) {
            return Self::Path(path);
        }
        Self::Named(text.to_owned())
    }
}

/// Returns id and version of `ID[@VERSION]`.
pub fn split_id(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((id, version)) => (id, Some(version)),
        None => (text, None),
    }
}

/// Returns whether a name is one that buildpack registries give, `NAMESPACE/NAME[@VERSION]`, and has no host, which those of
/// images may begin with.
pub(super) fn is_registry_id(name: &str) -> bool {
    let is_part = |text: &str| {
        let is_plain = |c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
        !text.is_empty() && text.chars().all(is_plain)
    };
    let (id, _) = split_id(name);
    id.split_once('/').is_some_and(|(namespace, name)| {
        let is_host = namespace == "localhost" || namespace.contains('.');
        is_part(namespace) && is_part(name) && !is_host
    })
}

/// A path that is not there is better said to be so than taken for a name.
fn is_meant_as_path(text: &str) -> bool {
    let begins = ["/", "./", "../"];
    let ends = [".cnb", ".tgz", ".tar", ".tar.gz"];
    matches!(text, "." | "..")
        || begins.iter().any(|it| text.starts_with(it))
        || ends.iter().any(|it| text.ends_with(it))
}

/// Returns the path of a URI behind `file:`; `None` if it names another host.
fn path_of_uri(uri: &str) -> Option<PathBuf> {
    let path = match uri.strip_prefix("//") {
        Some(rest) => {
            let at = rest.find('/')?;
            matches!(&rest[..at], "" | "localhost").then_some(&rest[at..])?
        }
        None => uri,
    };
    Some(PathBuf::from(OsStr::from_bytes(&percent_decoded(path))))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        let code = std::str::from_utf8(digits).ok();
        let code = code.filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

/// What follows the folder's name counts only where the whole is no folder.
fn layout_of(text: &str, relative_to: &Path) -> Location {
    let whole = relative_to.join(text);
    let mut selector = Selector::default();
    if whole.exists() {
        return Location::Layout(whole, Box::new(selector));
    }
    if let Some((dir, digest)) = text.split_once('@')
        && let Ok(digest) = digest.parse::<Digest>()
    {
        selector.digest = Some(digest);
        return Location::Layout(relative_to.join(dir), Box::new(selector));
    }
    match text.rsplit_once(':') {
        Some((dir, tag)) if !tag.is_empty() && !tag.contains('/') => {
            selector.ref_name = Some(tag.to_owned());
            Location::Layout(relative_to.join(dir), Box::new(selector))
        }
        _ => Location::Layout(whole, Box::new(selector)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_location_means() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("acme")).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let in_builder = |id: &str, version: Option<&str>| Location::Builder {
            module: Some((id.to_owned(), version.map(str::to_owned))),
        };
        let tagged = Selector {
            ref_name: Some("v1".to_owned()),
            ..Selector::default()
        };
        let digested = Selector {
            digest: Some(digest.parse().unwrap()),
            ..Selector::default()
        };
        let layout = |path: &str, selector| {
            let path = dir.path().join(path);
            Location::Layout(path, Box::new(selector))
        };
        let at = |path: &str| Location::Path(dir.path().join(path));
        let cases = [
            ("from=builder", Location::Builder { module: None }),
            ("from=builder:a/b@1.0", in_builder("a/b", Some("1.0"))),
            ("urn:cnb:builder:a/b", in_builder("a/b", None)),
            ("urn:cnb:registry:a/b@1", Location::Registry("a/b@1".into())),
            (
                "docker://acme/java:1",
                Location::Image("acme/java:1".into()),
            ),
            ("docker:/acme/java:1", Location::Image("acme/java:1".into())),
            (
                "docker-daemon:acme/java",
                Location::Image("docker-daemon:acme/java".into()),
            ),
            (
                "https://example.com/x.tgz",
                Location::Url("https://example.com/x.tgz".into()),
            ),
            ("file:///x%20y/%c3%a4%", Location::Path("/x y/ä%".into())),
            ("file://localhost/x", Location::Path("/x".into())),
            ("file:/x", Location::Path("/x".into())),
            ("file://host/x", Location::Url("file://host/x".into())),
            ("acme", at("acme")),
            ("acme/java", Location::Named("acme/java".into())),
            ("acme/java@1.0", Location::Named("acme/java@1.0".into())),
            ("./java", at("./java")),
            ("/java", Location::Path("/java".into())),
            (".", at(".")),
            ("java.cnb", at("java.cnb")),
            ("java.tar.gz", at("java.tar.gz")),
            ("", Location::Named(String::new())),
            ("oci:acme", layout("acme", Selector::default())),
            ("oci:acme:v1", layout("acme", tagged)),
            ("oci:/x:y/z", layout("/x:y/z", Selector::default())),
            (&format!("oci:acme@{digest}"), layout("acme", digested)),
        ];
        for (text, expected) in cases {
            assert_eq!(Location::parse(text, dir.path()), expected, "{text}");
        }
    }

    #[test]
    fn names_of_buildpack_registries_are_told_from_those_of_images() {
        for name in ["acme/java", "acme/java@1.0", "a-b/c.d"] {
            assert!(is_registry_id(name), "{name}");
        }
        for name in [
            "java",
            "java@1.0",
            "acme/java:1",
            "acme/more/java",
            "example.org/java",
            "localhost/java",
            "localhost:5000/java",
            "acme/my_java",
        ] {
            assert!(!is_registry_id(name), "{name}");
        }
    }
}
