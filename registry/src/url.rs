//! URLs of registries, and which of them one may lead to another.
//!
//! A registry answers with places: where an upload goes on, where a blob really is, who gives out tokens. Each of
//! those passes [`Url::join`] and [`Url::check_step_to`] before anything is sent there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::host;

/// How to talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// `http(s)://host[:port]/path[?query]`. Shown, it is without its query, which may hold what nobody else should see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    pub(crate) scheme: Scheme,
    /// `host[:port]`.
    pub(crate) authority: String,
    /// Begins with a slash.
    path: String,
    /// Without the question mark.
    query: Option<String>,
}

/// Why one URL may not lead to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// From TLS to plain text.
    #[error("that would give up TLS")]
    Downgrade,
    /// From the world into this machine or its network.
    #[error(
        "a public host may not send us to a private address\nif it is meant to, declare that address an insecure registry"
    )]
    Private,
    /// No URL that this client understands.
    #[error("that is no http or https URL")]
    Malformed,
}

impl Url {
    /// Returns `<scheme>://<authority>/`.
    pub(crate) fn root(scheme: Scheme, authority: &str) -> Self {
        Self {
            scheme,
            authority: authority.to_owned(),
            path: "/".to_owned(),
            query: None,
        }
    }

    /// Parses an absolute URL; user and password in it are refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::Malformed)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Refusal::Malformed),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let root = Self::root(scheme, authority);
        if rest.starts_with('/') {
            root.with(rest)
        } else {
            root.with(&format!("/{rest}"))
        }
    }

    /// Returns the URL of `path` and maybe a query on the same host.
    pub(crate) fn with(&self, path_and_query: &str) -> Result<Self, Refusal> {
        let text = path_and_query
            .split_once('#')
            .map_or(path_and_query, |(text, _)| text);
        let printable = |it: u8| it.is_ascii_graphic();
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (text, None),
        };
        let url = Self {
            path: path.to_owned(),
            query,
            ..self.clone()
        };
        let is_good = split(&self.authority).is_some()
            && path.starts_with('/')
            && url.full().bytes().all(printable)
            && url.full().parse::<ureq::http::Uri>().is_ok();
        is_good.then_some(url).ok_or(Refusal::Malformed)
    }

    /// Returns where a `Location` header points, seen from here (RFC 3986, section 5.2, but for dots in paths).
    pub(crate) fn join(&self, location: &str) -> Result<Self, Refusal> {
        let scheme = location.find("://").map(|at| &location[..at]);
        if scheme.is_some_and(|it| it.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.as_str()));
        }
        if location.starts_with('/') {
            return self.with(location);
        }
        if location.starts_with('?') {
            return self.with(&format!("{}{location}", self.path));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.with(&format!("{folder}/{location}"))
    }

    /// Returns the URL with one more parameter at the end of its query.
    #[must_use]
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        let pair = format!("{name}={}", encoded(value));
        self.query = Some(match self.query {
            Some(query) if !query.is_empty() => format!("{query}&{pair}"),
            _ => pair,
        });
        self
    }

    /// Returns the whole text, query included, to be sent and never to be shown.
    pub(crate) fn full(&self) -> String {
        let query = self.query.as_ref().map(|it| format!("?{it}"));
        format!("{self}{}", query.unwrap_or_default())
    }

    /// Returns whether both are the same host at the same port, spoken to in the same way.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port_or_default() == other.port_or_default()
    }

    /// Fails unless something that came from here may lead there. Who declares an address an insecure registry means it,
    /// wherever it is.
    pub(crate) fn check_step_to(&self, next: &Self, insecure: &[String]) -> Result<(), Refusal> {
        if self.scheme == Scheme::Https && next.scheme == Scheme::Http {
            return Err(Refusal::Downgrade);
        }
        let is_meant = self.is_private()
            || self.host().eq_ignore_ascii_case(next.host())
            || host::is_insecure(&next.authority, insecure);
        if next.is_private() && !is_meant {
            return Err(Refusal::Private);
        }
        Ok(())
    }

    pub(crate) fn port_or_default(&self) -> u16 {
        let usual = match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let port = split(&self.authority).and_then(|(_, port)| port);
        port.unwrap_or(usual)
    }

    /// Returns the host without its port, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        split(&self.authority).map_or(&self.authority, |(host, _)| host)
    }

    /// An address of this machine or of a network that is not the world's; names are not looked up.
    fn is_private(&self) -> bool {
        let host = self.host().to_ascii_lowercase();
        let name = host.trim_end_matches('.');
        if name == "localhost" || name.ends_with(".localhost") {
            return true;
        }
        let address = match host.parse() {
            Ok(IpAddr::V6(address)) => address.to_canonical(),
            Ok(address) => address,
            Err(_) => return false,
        };
        match address {
            IpAddr::V4(it) => {
                let [first, second, ..] = it.octets();
                // Addresses of carriers' networks, and those of this network.
                let is_shared = first == 100 && second & 0xc0 == 64;
                it.is_loopback() || it.is_private() || it.is_link_local() || is_shared || first == 0
            }
            IpAddr::V6(it) => {
                it.is_loopback()
                    || it.is_unicast_link_local()
                    || it.is_unique_local()
                    || it.is_unspecified()
            }
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}{}",
            self.scheme.as_str(),
            self.authority,
            self.path
        )
    }
}

/// Returns host, without brackets, and port of `host[:port]`; `None` if it is anything else.
///
/// A host that a resolver would take for an address in another notation (`127.1`, `0x7f.1`, `2130706433`) is none.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, port)
    } else {
        let end = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(end);
        let is_name = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
        if host.is_empty() || !host.bytes().all(is_name) {
            return None;
        }
        let last = host.trim_end_matches('.').rsplit('.').next()?;
        let is_number = last.bytes().all(|it| it.is_ascii_digit())
            || last
                .get(..2)
                .is_some_and(|it| it.eq_ignore_ascii_case("0x"));
        if is_number && host.parse::<Ipv4Addr>().is_err() {
            return None;
        }
        (host, port)
    };
    let Some(port) = port.strip_prefix(':') else {
        return port.is_empty().then_some((host, None));
    };
    let is_port = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_port)?;
    Some((host, Some(port)))
}

/// Returns `text` as the value of a parameter in a query or a form.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let nibbles = [byte >> 4, byte & 15].map(|it| char::from(HEX[usize::from(it)]));
            out.push('%');
            out.extend(nibbles);
        }
    }
    out
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_location_is_seen_from_where_it_was_given() {
        let here = url("https://r.example:5000/v2/app/blobs/uploads/1?state=a");
        let cases = [
            ("https://s.example/x?y=1", Some("https://s.example/x?y=1")),
            ("HTTPS://s.example", Some("https://s.example/")),
            ("https://s.example?x", Some("https://s.example/?x")),
            ("//s.example/x", Some("https://s.example/x")),
            (
                "/v2/x?state=b#part",
                Some("https://r.example:5000/v2/x?state=b"),
            ),
            (
                "?state=b",
                Some("https://r.example:5000/v2/app/blobs/uploads/1?state=b"),
            ),
            ("2", Some("https://r.example:5000/v2/app/blobs/uploads/2")),
            (
                "/x?to=http://y/",
                Some("https://r.example:5000/x?to=http://y/"),
            ),
            ("ftp://s.example/x", None),
            ("https://user:word@s.example/", None),
            ("https:///x", None),
            ("/a b", None),
            ("/a\r\nb", None),
            ("https://s.exa mple/", None),
            ("https://s.example:+443/", None),
            ("https://s.example:65536/", None),
            ("https://s.example:/", None),
            ("https://127.1/", None),
            ("https://2130706433/", None),
            ("https://0x7f.1/", None),
            ("https://a.0X7f/", None),
            ("https://127.0.0.1./", None),
            ("https://0/", None),
            ("https://[::1]:+443/", None),
            ("https://[::1]x/", None),
            ("https://[fe80::1%25lo]/", None),
            ("https://s%2eexample/", None),
            ("https://a:b:1/", None),
            ("https://s.example.:1/", Some("https://s.example.:1/")),
            ("https://0x.example/", Some("https://0x.example/")),
        ];
        for (location, expected) in cases {
            let found = here.join(location).ok().map(|it| it.full());
            assert_eq!(found.as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn what_is_shown_has_no_query() {
        let signed = url("https://s.example/x?signature=secret");
        assert_eq!(signed.to_string(), "https://s.example/x");
        assert_eq!(
            signed.clone().and("digest", "sha256:ab").full(),
            "https://s.example/x?signature=secret&digest=sha256%3Aab"
        );
        assert_eq!(
            url("http://h/x").and("a", "b c").full(),
            "http://h/x?a=b%20c"
        );
    }

    #[test]
    fn hosts_are_compared_with_their_ports() {
        let cases = [
            ("https://r.example/a", "https://R.example:443/b", true),
            ("https://r.example/a", "https://r.example:5000/a", false),
            ("https://r.example/a", "http://r.example/a", false),
            ("http://[::1]:5000/", "http://[::1]:5000/x", true),
            ("http://[::1]/", "http://[::1]:80/x", true),
            ("http://r.example/", "http://other.example/", false),
        ];
        for (a, b, same) in cases {
            assert_eq!(url(a).is_same_origin(&url(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn tls_is_not_given_up_and_nobody_points_inside() {
        let cases = [
            ("https://r.example/", "https://s.example/", Ok(())),
            ("http://r.example/", "https://s.example/", Ok(())),
            (
                "https://r.example/",
                "http://r.example/",
                Err(Refusal::Downgrade),
            ),
            (
                "https://r.example/",
                "https://169.254.169.254/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://127.0.0.1:1/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://[::ffff:10.0.0.1]/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://[fd00::1]/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://localhost/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://LOCALHOST./",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://100.64.0.1/",
                Err(Refusal::Private),
            ),
            (
                "https://r.example/",
                "https://0.0.0.1:443/",
                Err(Refusal::Private),
            ),
            ("https://r.example/", "https://100.128.0.1/", Ok(())),
            ("https://r.example/", "https://10.0.0.9:5000/", Ok(())),
            ("https://10.0.0.2/", "https://10.0.0.3/", Ok(())),
            ("http://localhost:5000/", "http://127.0.0.1:5001/", Ok(())),
            ("https://10.0.0.2/", "https://8.8.8.8/", Ok(())),
        ];
        for (from, to, expected) in cases {
            let found = url(from).check_step_to(&url(to), &["10.0.0.9:5000".to_owned()]);
            assert_eq!(found, expected, "{from} {to}");
        }
    }

    proptest! {
        #[test]
        fn a_place_that_is_understood_stays_itself(text in "(https?://)?[a-z.:@/?#%\\[\\]-]{0,30}|.{0,30}") {
            let here = url("https://r.example/v2/app?x=y");
            let Ok(there) = here.join(&text) else { return Ok(()) };
            prop_assert_eq!(Url::parse(&there.full()), Ok(there.clone()));
            prop_assert!(there.is_same_origin(&there));
            there.check_step_to(&here, &[]).ok();
        }
    }
}
