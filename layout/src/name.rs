//! Image names, and the paths that they have under a layout directory (COM-050, LAY-005 to LAY-007).
//!
//! Names are read as Docker's tools read them, with missing parts filled in. One thing is stricter
//! than the reference: a part that is `.` or `..` is refused, because a name becomes a path here.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::digest::{Digest, DigestAlgorithm};

const DEFAULT_REGISTRY: &str = "index.docker.io";
const DEFAULT_TAG: &str = "latest";

/// A parsed image reference; Docker's naming with weak validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `index.docker.io` where none was given.
    pub registry: String,
    /// `library/app`.
    pub repository: String,
    /// Tag or digest; the digest wins where both are given.
    pub identifier: Identifier,
}

/// What follows the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// A tag, `latest` where none was given.
    Tag(String),
    /// `sha256:<hex>`.
    Digest(String),
}

/// Text that is no image reference.
#[derive(Debug, thiserror::Error)]
#[error("could not parse reference: {0}")]
pub struct ParseError(pub String);

impl Reference {
    /// Parses a name as people type it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        tagged(text)
            .or_else(|| digested(text))
            .ok_or_else(|| ParseError(text.to_owned()))
    }

    /// Returns `<registry>/<repository>:<tag>` or `<registry>/<repository>@<digest>`.
    pub fn name(&self) -> String {
        let separator = match self.identifier {
            Identifier::Tag(_) => ':',
            Identifier::Digest(_) => '@',
        };
        format!("{}{separator}{}", self.context(), self.identifier())
    }

    /// Returns `<registry>/<repository>`.
    pub fn context(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the tag or the digest string.
    pub fn identifier(&self) -> &str {
        match &self.identifier {
            Identifier::Tag(text) | Identifier::Digest(text) => text,
        }
    }

    /// Returns where the image is under `layout_dir`: `<layout_dir>/index.docker.io/library/app/latest`, `.../sha256/<hex>` for a digest.
    pub fn layout_path(&self, layout_dir: &Path) -> PathBuf {
        let parts = self.repository.split('/').filter(|part| !part.is_empty());
        let mut path = layout_dir.join(&self.registry);
        path.extend(parts);
        match &self.identifier {
            Identifier::Tag(tag) => path.push(tag),
            Identifier::Digest(digest) => path.extend(digest.split(':')),
        }
        path
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Returns the name whose path this is below `layout_dir`; `None` for a path that no name has.
pub fn name_of_layout_path(path: &Path, layout_dir: &Path) -> Option<Reference> {
    let below = path.strip_prefix(layout_dir).ok()?.to_str()?;
    let (name, end) = below.rsplit_once('/')?;
    let tagged = Reference::parse(&format!("{name}:{end}")).ok();
    let digested = || {
        let repository = name.strip_suffix("/sha256")?;
        Reference::parse(&format!("{repository}@sha256:{end}")).ok()
    };
    let is_there = |it: &Reference| it.layout_path(layout_dir) == path;
    digested().filter(is_there).or(tagged.filter(is_there))
}

/// Returns the path of an image to read: `text` itself if it begins with `layout_dir`, else the mapped name (LAY-007).
pub fn layout_path_to_read(text: &str, layout_dir: &Path) -> Result<PathBuf, ParseError> {
    // The reference compares text, not path parts.
    let begins = layout_dir.to_str().is_some_and(|dir| text.starts_with(dir));
    if begins {
        return Ok(PathBuf::from(text));
    }
    Ok(Reference::parse(text)?.layout_path(layout_dir))
}

/// `name[:tag]`.
fn tagged(text: &str) -> Option<Reference> {
    // What follows the last colon is no tag if it has a slash: `localhost:5000/app`.
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (text, DEFAULT_TAG),
    };
    let is_tag_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !(1..=128).contains(&tag.len()) || !tag.chars().all(is_tag_char) || is_dots(tag) {
        return None;
    }
    repository(name, Identifier::Tag(tag.to_owned()))
}

/// `name[:tag]@sha256:<hex>`; the tag is dropped.
fn digested(text: &str) -> Option<Reference> {
    let (name, digest) = text.split_once('@')?;
    let parsed: Digest = digest.parse().ok()?;
    if *parsed.algorithm() != DigestAlgorithm::Sha256 {
        return None;
    }
    let identifier = Identifier::Digest(digest.to_owned());
    match tagged(name) {
        Some(reference) => Some(Reference {
            identifier,
            ..reference
        }),
        None => repository(name, identifier),
    }
}

fn repository(name: &str, identifier: Identifier) -> Option<Reference> {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
        _ => ("", name),
    };
    let is_repository_char = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '/');
    if !(2..=255).contains(&repository.len()) || !repository.chars().all(is_repository_char) {
        return None;
    }
    if is_dots(registry) || repository.split('/').any(is_dots) || !is_authority(registry) {
        return None;
    }
    let registry = match registry {
        "" | "docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    let implicit = registry == DEFAULT_REGISTRY && !repository.contains('/');
    let namespace = if implicit { "library/" } else { "" };
    Some(Reference {
        registry: registry.to_owned(),
        repository: format!("{namespace}{repository}"),
        identifier,
    })
}

fn is_dots(part: &str) -> bool {
    matches!(part, "." | "..")
}

/// `host[:port]` as RFC 3986 and Go's `net/url` have it; empty is fine.
fn is_authority(text: &str) -> bool {
    let (host_is_good, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((host, port)) = rest.split_once(']') else {
            return false;
        };
        (host.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        // Go looks for the port behind the last colon and lets others pass.
        let (host, port) = text.split_at(text.rfind(':').unwrap_or(text.len()));
        (host.chars().all(is_host_char), port)
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(digits) => digits.chars().all(|c| c.is_ascii_digit()),
        None => port.is_empty(),
    };
    host_is_good && port_is_good
}

/// Unreserved characters and sub-delimiters of RFC 3986, and what Go lets through beside them.
fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || "-_.~!$&'()*+,;=<>\":".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// COM-050; right-hand sides are what go-containerregistry 0.21.9 says with weak validation.
    #[test]
    fn names_are_filled_in() {
        let digest = format!("@sha256:{HEX}");
        let cases = [
            ("app", "index.docker.io/library/app:latest"),
            ("app:v1", "index.docker.io/library/app:v1"),
            ("app:V_1.-", "index.docker.io/library/app:V_1.-"),
            ("some/app", "index.docker.io/some/app:latest"),
            ("docker.io/app", "index.docker.io/library/app:latest"),
            ("index.docker.io/app", "index.docker.io/library/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("registry:5000/a/b", "registry:5000/a/b:latest"),
            ("Registry.Example/a_b", "Registry.Example/a_b:latest"),
            ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("host:/app", "host:/app:latest"),
            ("localhost:5000", "index.docker.io/library/localhost:5000"),
            ("a:1:2/app", "a:1:2/app:latest"),
            ("/app", "index.docker.io//app:latest"),
            ("a//b", "index.docker.io/a//b:latest"),
            ("app/", "index.docker.io/app/:latest"),
        ];
        for (text, name) in cases {
            assert_eq!(Reference::parse(text).unwrap().name(), name, "{text}");
        }
        for text in ["app", "app:v1", "docker.io/library/app:v1"] {
            assert_eq!(
                Reference::parse(&format!("{text}{digest}")).unwrap().name(),
                format!("index.docker.io/library/app{digest}")
            );
        }
    }

    #[test]
    fn other_text_is_refused() {
        let upper = HEX.to_uppercase();
        let long = "a".repeat(256);
        let cases = [
            "",
            "a",
            "a:b",
            "App",
            "app:",
            "app:a b",
            "app:ä",
            "some app",
            "localhost:x/app",
            "host?x/a.b",
            "user@host.x/app",
            "h%41.x/app",
            "[::1/app",
            "[x.y]/app",
            &format!("app@sha256:{upper}"),
            "app@sha256:12",
            "app@sha512:12",
            &format!("app@sha256:{HEX}@sha256:{HEX}"),
            &format!("@sha256:{HEX}"),
            &format!("app:{}", &long[..129]),
            &long,
        ];
        for text in cases {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert_eq!(error, format!("could not parse reference: {text}"));
        }
    }

    /// Accepted by the reference, which then writes outside its layout directory.
    #[test]
    fn names_that_climb_are_refused() {
        for text in [
            "../app",
            "../../app",
            "some/../app",
            "./app",
            "app:..",
            "..:1/app/..",
            "a/..",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    /// LAY-005, LAY-006.
    #[test]
    fn names_become_paths() {
        let by_digest = format!("app:v1@sha256:{HEX}");
        let cases = [
            ("app", "index.docker.io/library/app/latest".to_owned()),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b/v1".to_owned()),
            (
                &by_digest,
                format!("index.docker.io/library/app/sha256/{HEX}"),
            ),
            ("/app", "index.docker.io/app/latest".to_owned()),
        ];
        for (text, path) in cases {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(
                reference.layout_path(Path::new("/layouts")),
                Path::new("/layouts").join(path)
            );
        }
    }

    /// LAY-007.
    #[test]
    fn paths_have_names() {
        let hex = "9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
        let digest = format!("/dir/index.docker.io/acme/app/sha256/{hex}");
        for (path, expected) in [
            (
                "/dir/index.docker.io/library/run/latest",
                Some("index.docker.io/library/run:latest".to_owned()),
            ),
            (
                "/dir/localhost:5000/a/b/1",
                Some("localhost:5000/a/b:1".to_owned()),
            ),
            (
                &digest,
                Some(format!("index.docker.io/acme/app@sha256:{hex}")),
            ),
            ("/dir/run/latest", None),
            ("/dir/example.org/Run/latest", None),
            ("/dir/latest", None),
            ("/dir", None),
            ("/other/index.docker.io/library/run/latest", None),
        ] {
            let name = name_of_layout_path(Path::new(path), Path::new("/dir"));
            assert_eq!(name.map(|it| it.name()), expected, "{path}");
        }
    }

    #[test]
    fn text_that_begins_with_the_layout_directory_is_a_path() {
        let cases = [
            (
                "/layouts",
                "/layouts/index.docker.io/run/x",
                "/layouts/index.docker.io/run/x",
            ),
            ("/layouts", "/layouts-2/run", "/layouts-2/run"),
            (
                "/layouts",
                "run",
                "/layouts/index.docker.io/library/run/latest",
            ),
            ("layouts", "layouts/UPPER", "layouts/UPPER"),
        ];
        for (dir, text, path) in cases {
            assert_eq!(
                layout_path_to_read(text, Path::new(dir)).unwrap(),
                Path::new(path)
            );
        }
        assert!(layout_path_to_read("UPPER", Path::new("/layouts")).is_err());
    }

    proptest! {
        #[test]
        fn a_name_stays_itself_and_below_its_directory(text in "[a-zA-Z0-9:/._@\\[\\]-]{0,40}") {
            let Ok(reference) = Reference::parse(&text) else { return Ok(()) };
            let again = Reference::parse(&reference.name()).unwrap();
            prop_assert_eq!(&again, &reference);
            let path = reference.layout_path(Path::new("/layouts"));
            prop_assert!(path.starts_with("/layouts"));
            prop_assert!(!path.components().any(|it| it.as_os_str() == ".."));
        }

        #[test]
        fn foreign_text_never_panics(text in ".{0,60}") {
            Reference::parse(&text).ok();
            layout_path_to_read(&text, Path::new("/layouts")).ok();
        }
    }

    #[test]
    fn a_name_is_shown_in_full() {
        let name: Reference = "app".parse().unwrap();
        assert_eq!(name.to_string(), "index.docker.io/library/app:latest");
    }
}
