//! What an image runs on, and what a buildpack can run on (BPD-011 to BPD-016, COM-081).

use serde::{Deserialize, Serialize};

/// Name and version of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distro {
    /// `ubuntu`.
    #[serde(default)]
    pub name: String,
    /// `24.04`.
    #[serde(default)]
    pub version: String,
}

/// What the run image is (`[run-image.target]` of analyzed.toml). Key order is the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// Id of the base.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Architecture.
    #[serde(default)]
    pub arch: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch_variant: String,
    /// Distribution, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<Distro>,
}

/// One `[[targets]]` of a descriptor. Empty fields match anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetSpec {
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Architecture.
    #[serde(default)]
    pub arch: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch_variant: String,
    /// Distributions; none means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distros: Vec<Distro>,
}

impl TargetSpec {
    /// Returns whether a module with this target runs on `base` (BPD-015).
    pub fn matches(&self, base: &Target) -> bool {
        let distro_matches = || {
            base.distro.as_ref().is_some_and(|distro| {
                self.distros.iter().any(|wanted| {
                    agree(&wanted.name, &distro.name) && agree(&wanted.version, &distro.version)
                })
            })
        };
        agree(&self.os, &base.os)
            && agree(&self.arch, &base.arch)
            && agree(&self.arch_variant, &base.arch_variant)
            && (self.distros.is_empty() || distro_matches())
    }
}

impl Target {
    /// Returns the `CNB_TARGET_*` variables, in order (BPD-025).
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let distro = self.distro.as_ref();
        let optional = [
            ("CNB_TARGET_ARCH_VARIANT", Some(&self.arch_variant)),
            ("CNB_TARGET_DISTRO_NAME", distro.map(|d| &d.name)),
            ("CNB_TARGET_DISTRO_VERSION", distro.map(|d| &d.version)),
        ];
        let mut variables = vec![
            ("CNB_TARGET_OS", self.os.clone()),
            ("CNB_TARGET_ARCH", self.arch.clone()),
        ];
        variables.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?.clone()))),
        );
        variables
    }
}

/// Returns whether two values are equal, or one of them says nothing.
fn agree(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(os: &str, arch: &str, variant: &str, distro: Option<(&str, &str)>) -> Target {
        Target {
            id: String::new(),
            os: os.to_owned(),
            arch: arch.to_owned(),
            arch_variant: variant.to_owned(),
            distro: distro.map(|(name, version)| Distro {
                name: name.to_owned(),
                version: version.to_owned(),
            }),
        }
    }

    fn spec(os: &str, arch: &str, variant: &str, distros: &[(&str, &str)]) -> TargetSpec {
        TargetSpec {
            os: os.to_owned(),
            arch: arch.to_owned(),
            arch_variant: variant.to_owned(),
            distros: distros
                .iter()
                .map(|(name, version)| Distro {
                    name: (*name).to_owned(),
                    version: (*version).to_owned(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_target_matches_where_both_sides_agree_or_one_is_silent() {
        let jammy = Some(("ubuntu", "22.04"));
        let base = target("linux", "arm64", "v8", jammy);
        let cases = [
            (spec("", "", "", &[]), &base, true),
            (spec("linux", "arm64", "v8", &[]), &base, true),
            (spec("windows", "", "", &[]), &base, false),
            (spec("linux", "amd64", "", &[]), &base, false),
            (spec("linux", "arm64", "v7", &[]), &base, false),
            (spec("linux", "", "", &[("ubuntu", "22.04")]), &base, true),
            (spec("linux", "", "", &[("ubuntu", "")]), &base, true),
            (spec("linux", "", "", &[("", "22.04")]), &base, true),
            (
                spec("", "", "", &[("alpine", "3"), ("ubuntu", "22.04")]),
                &base,
                true,
            ),
            (spec("", "", "", &[("ubuntu", "18.04")]), &base, false),
            // An image that does not say what it is fits no distribution, not even an empty one.
            (
                spec("", "", "", &[("", "")]),
                &target("linux", "", "", None),
                false,
            ),
            (
                spec("", "", "", &[("ubuntu", "18.04")]),
                &target("", "", "", Some(("", ""))),
                true,
            ),
            (
                spec("linux", "arm64", "v8", &[]),
                &target("", "", "", None),
                true,
            ),
        ];
        for (spec, base, expected) in cases {
            assert_eq!(spec.matches(base), expected, "{spec:?} on {base:?}");
        }
    }

    #[test]
    fn os_and_arch_are_always_given_the_rest_where_known() {
        let names = |target: &Target| -> Vec<_> {
            target
                .variables()
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect()
        };
        assert_eq!(
            names(&target("", "", "", None)),
            ["CNB_TARGET_OS=", "CNB_TARGET_ARCH="]
        );
        assert_eq!(
            names(&target("linux", "arm64", "v8", Some(("ubuntu", "22.04")))),
            [
                "CNB_TARGET_OS=linux",
                "CNB_TARGET_ARCH=arm64",
                "CNB_TARGET_ARCH_VARIANT=v8",
                "CNB_TARGET_DISTRO_NAME=ubuntu",
                "CNB_TARGET_DISTRO_VERSION=22.04"
            ]
        );
        assert_eq!(
            names(&target("linux", "arm64", "", Some(("ubuntu", "")))).len(),
            3
        );
    }

    #[test]
    fn targets_are_shown_as_json_with_os_and_arch_always_there() {
        let json = serde_json::to_string(&[spec("", "", "", &[]), spec("linux", "arm64", "", &[])]);
        assert_eq!(
            json.unwrap(),
            r#"[{"os":"","arch":""},{"os":"linux","arch":"arm64"}]"#
        );
    }
}
