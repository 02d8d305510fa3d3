//! Where a daemon listens, as `DOCKER_HOST` says it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::Error;

/// Where a daemon listens if nobody says otherwise.
pub const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The port of a daemon that is reached by TCP without one.
const PORT: u16 = 2375;

/// Where a daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A port of a machine, without TLS.
    Tcp {
        /// Name or address, an IPv6 one without brackets.
        name: String,
        /// The port.
        port: u16,
    },
}

impl FromStr for Host {
    type Err = Error;

    /// Reads `unix://PATH`, `tcp://HOST[:PORT]` or `http://HOST[:PORT]`; empty text means [`DEFAULT_HOST`].
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Host {
            text: text.to_owned(),
            reason,
        };
        let text = if text.is_empty() { DEFAULT_HOST } else { text };
        let (scheme, rest) = text.split_once("://").ok_or(refuse("it has no scheme"))?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(PathBuf::from(rest))),
            "unix" => Err(refuse("the path of its socket is not absolute")),
            "tcp" | "http" => tcp(rest).map_err(refuse),
            "https" => Err(refuse("TLS is not spoken here")),
            "ssh" => Err(refuse("SSH is not spoken here")),
            _ => Err(refuse("its scheme is neither unix nor tcp")),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { name, port } if name.contains(':') => write!(f, "tcp://[{name}]:{port}"),
            Self::Tcp { name, port } => write!(f, "tcp://{name}:{port}"),
        }
    }
}

/// Reads `HOST[:PORT][/]`.
fn tcp(text: &str) -> Result<Host, &'static str> {
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.contains(['/', '?', '#', '@']) {
        return Err("there is more in it than a host and a port");
    }
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("it has no closing bracket")?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => digits.parse().map_err(|_| "its port is no number")?,
        None if port.is_empty() => PORT,
        None => return Err("its port is no number"),
    };
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it has no host");
    }
    Ok(Host::Tcp {
        name: name.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_docker_s_client_does() {
        let cases = [
            ("", DEFAULT_HOST),
            (
                "unix:///run/user/1000/podman/podman.sock",
                "unix:///run/user/1000/podman/podman.sock",
            ),
            ("tcp://localhost", "tcp://localhost:2375"),
            ("tcp://127.0.0.1:80/", "tcp://127.0.0.1:80"),
            ("http://docker:8080", "tcp://docker:8080"),
            ("tcp://[::1]:1", "tcp://[::1]:1"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn other_addresses_are_refused_with_the_way_out() {
        let cases = [
            ("/var/run/docker.sock", "it has no scheme"),
            ("unix://docker.sock", "not absolute"),
            ("https://h:2376", "TLS is not spoken here"),
            ("ssh://me@h", "SSH is not spoken here"),
            ("npipe:////./pipe/docker", "neither unix nor tcp"),
            ("tcp://", "it has no host"),
            ("tcp://:2375", "it has no host"),
            ("tcp://h:port", "its port is no number"),
            ("tcp://h:70000", "its port is no number"),
            ("tcp://[::1", "no closing bracket"),
            ("tcp://[::1]1", "its port is no number"),
            ("tcp://h:1/prefix", "more in it than a host and a port"),
        ];
        for (text, reason) in cases {
            let error = text.parse::<Host>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert!(error.contains(&format!("{text:?}")), "{error}");
            assert!(
                error.ends_with("set DOCKER_HOST to unix:///PATH or tcp://HOST:PORT"),
                "{error}"
            );
        }
    }
}
