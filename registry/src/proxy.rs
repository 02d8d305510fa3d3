//! Proxies, as programs in Go read them from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` or the same in small letters.
//!
//! This machine's own addresses never go through one. An entry of `NO_PROXY` is a host with all below it, `.host` or
//! `*.host` for what is below it alone, an address, or a network as `10.0.0.0/8`; each but the network may end in a port.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use crate::url::{Scheme, Url};

/// Which proxy stands before which host. By default, none.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    exceptions: Vec<Exception>,
}

/// What is reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpAddr, u8),
    Host {
        /// In small letters.
        host: String,
        /// The host itself, and not only what is below it.
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// Returns what the variables say; `variable` gives their values.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let value = |name: &str| {
            let value = variable(name)?.into_string().ok()?;
            Some(value).filter(|it| !it.is_empty())
        };
        let either = |name: &str| value(name).or_else(|| value(&name.to_lowercase()));
        let exceptions = either("NO_PROXY").unwrap_or_default();
        Self {
            http: either("HTTP_PROXY"),
            https: either("HTTPS_PROXY"),
            exceptions: exceptions.split(',').filter_map(Exception::parse).collect(),
        }
    }

    /// Returns the proxy to go through.
    pub(crate) fn before(&self, url: &Url) -> Option<&str> {
        let proxy = match url.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        let host = url.host().to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_own = host == "localhost" || address.is_some_and(|it| it.is_loopback());
        let is_exception = || {
            let mut all = self.exceptions.iter();
            all.any(|it| it.fits(&host, address, url.port_or_default()))
        };
        proxy.as_deref().filter(|_| !is_own && !is_exception())
    }
}

impl fmt::Debug for Proxies {
    /// Without the proxies: their URLs may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Proxies");
        shown.field("exceptions", &self.exceptions);
        shown.finish_non_exhaustive()
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            return Some(Self::Network(address.parse().ok()?, bits.parse().ok()?));
        }
        let (host, port) = match text.rsplit_once(':') {
            // An IPv6 address without brackets has colons of its own.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (text.as_str(), None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let below = host.strip_prefix('*').unwrap_or(host).strip_prefix('.');
        let name = below.unwrap_or(host);
        (!name.is_empty()).then(|| Self::Host {
            host: name.to_owned(),
            itself: below.is_none(),
            port,
        })
    }

    fn fits(&self, name: &str, address: Option<IpAddr>, at: u16) -> bool {
        match self {
            Self::All => true,
            Self::Network(network, bits) => {
                address.is_some_and(|it| is_within(it, *network, *bits))
            }
            Self::Host { host, itself, port } => {
                let is_below = || {
                    let above = name.strip_suffix(host.as_str());
                    address.is_none() && above.is_some_and(|it| it.ends_with('.'))
                };
                port.is_none_or(|it| it == at) && ((*itself && name == host) || is_below())
            }
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let is_same = |a: &[u8], b: &[u8]| {
        let bit = |bytes: &[u8], at: usize| bytes.get(at / 8).map(|it| it >> (7 - at % 8) & 1);
        (0..usize::from(bits)).all(|at| bit(a, at).is_some() && bit(a, at) == bit(b, at))
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => is_same(&a.octets(), &b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => is_same(&a.octets(), &b.octets()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no_proxy: &str) -> Proxies {
        Proxies::of(|name| {
            Some(match name {
                "HTTPS_PROXY" => "http://user:secret@tls.proxy:3128".into(),
                "http_proxy" => "http://plain.proxy:3128".into(),
                "NO_PROXY" => no_proxy.into(),
                _ => return None,
            })
        })
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_none() {
        let proxies = proxies("");
        let before = |url: &str| proxies.before(&Url::parse(url).unwrap());
        let tls = Some("http://user:secret@tls.proxy:3128");
        assert_eq!(before("https://r.example/"), tls);
        assert_eq!(before("http://10.0.0.1/"), Some("http://plain.proxy:3128"));
        for url in [
            "https://localhost:5000/",
            "http://127.0.0.2/",
            "http://[::1]:5000/",
        ] {
            assert_eq!(before(url), None, "{url}");
        }
        assert!(!format!("{proxies:?}").contains("secret"));
        assert!(
            Proxies::default()
                .before(&Url::parse("https://x/").unwrap())
                .is_none()
        );
    }

    /// As golang.org/x/net/http/httpproxy reads them.
    #[test]
    fn exceptions_are_hosts_addresses_and_networks() {
        let cases = [
            ("*", "https://r.example/", true),
            ("r.example", "https://r.example:5000/", true),
            ("r.example", "https://a.r.example/", true),
            ("r.example", "https://ar.example/", false),
            (" R.example , x", "https://r.EXAMPLE/", true),
            (".r.example", "https://r.example/", false),
            (".r.example", "https://a.r.example/", true),
            ("*.r.example", "https://a.r.example/", true),
            ("*.r.example", "https://r.example/", false),
            ("r.example:5000", "https://r.example:5000/", true),
            ("r.example:5000", "https://r.example/", false),
            ("r.example:443", "https://r.example/", true),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.0.0.1/99", "https://10.0.0.1/", false),
            ("10.1.2.3", "https://10.1.2.3/", true),
            ("2.3", "https://10.1.2.3/", false),
            ("fd00::/8", "https://[fd12::1]/", true),
            ("fd12::1", "https://[fd12::1]/", true),
            ("[fd12::1]:443", "https://[fd12::1]/", true),
            (",,:,/,x/y", "https://r.example/", false),
        ];
        for (no_proxy, url, is_direct) in cases {
            let proxies = proxies(no_proxy);
            let proxy = proxies.before(&Url::parse(url).unwrap());
            assert_eq!(proxy.is_none(), is_direct, "{no_proxy} {url}");
        }
    }
}
