//! Which host stands behind a registry's name, and how it may be spoken to (COM-053, COM-054).
//!
//! TLS always comes first. Plain HTTP is a second try for hosts of this machine and of private networks, as the
//! reference has it, and for those that are declared insecure.

use std::net::Ipv4Addr;

use crate::url::Scheme;

/// Docker Hub's name in image names, and the host that has its images.
const DOCKER_HUB: (&str, &str) = ("index.docker.io", "registry-1.docker.io");

/// Returns `host[:port]` of the registry with this name.
pub(crate) fn authority(registry: &str) -> &str {
    if registry == DOCKER_HUB.0 {
        DOCKER_HUB.1
    } else {
        registry
    }
}

/// Returns the ways to speak to it, best first.
pub(crate) fn schemes(registry: &str, insecure: &[String]) -> &'static [Scheme] {
    if is_insecure(authority(registry), insecure) || is_near(registry) {
        &[Scheme::Https, Scheme::Http]
    } else {
        &[Scheme::Https]
    }
}

/// Returns whether the certificate of this host does not matter. Names of insecure registries match exactly.
pub(crate) fn is_insecure(host: &str, insecure: &[String]) -> bool {
    insecure.iter().any(|it| authority(it) == host)
}

/// True for hosts of this machine and of private networks, by their names alone.
fn is_near(registry: &str) -> bool {
    let (host, port) = match registry.rsplit_once(':') {
        Some((host, port)) if is_port(port) && !host.ends_with(':') => (host, Some(port)),
        _ => (registry, None),
    };
    if host == "localhost" {
        return port.is_some();
    }
    if host.ends_with(".localhost") || matches!(host, "127.0.0.1" | "[::1]") {
        return true;
    }
    host.parse().is_ok_and(|it: Ipv4Addr| it.is_private())
}

fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// COM-053.
    #[test]
    fn plain_http_is_for_near_hosts() {
        for (registry, near) in [
            ("localhost:5000", true),
            ("localhost", false),
            ("localhost.example:5000", false),
            ("reg.localhost", true),
            ("reg.localhost:5000", true),
            ("127.0.0.1", true),
            ("127.0.0.1:5000", true),
            ("127.0.0.2:5000", false),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("[::2]:5000", false),
            ("10.1.2.3:5000", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1:80", true),
            ("8.8.8.8", false),
            ("registry.example", false),
            ("registry.local:5000", false),
            ("index.docker.io", false),
        ] {
            let plain = schemes(registry, &[]).contains(&Scheme::Http);
            assert_eq!(plain, near, "{registry}");
        }
    }

    /// COM-054, but for exact names.
    #[test]
    fn an_insecure_registry_is_one_whose_name_is_the_same() {
        let insecure = ["r.example:5000".to_owned(), String::new()];
        for (registry, expected) in [
            ("r.example:5000", true),
            ("r.example:50001", false),
            ("r.example", false),
            ("s.example", false),
        ] {
            assert_eq!(is_insecure(registry, &insecure), expected, "{registry}");
            let plain = schemes(registry, &insecure).contains(&Scheme::Http);
            assert_eq!(plain, expected, "{registry}");
        }
    }

    #[test]
    fn docker_hub_is_at_another_host() {
        assert_eq!(authority("index.docker.io"), "registry-1.docker.io");
        assert_eq!(authority("r.example:5000"), "r.example:5000");
    }
}
