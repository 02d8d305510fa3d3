//! Whether an app may run on another base (REB-011 to REB-015).

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use buildpack::target::Target;
use layout::{ImageConfig, json};
use platform::{api, labels, target};

const FORCE: &str = "please provide -force to override";

/// Checks stack and mixins of images that were built on a stack, rebasability and target of others. `force` helps these alone.
pub(crate) fn validate(
    app: &ImageConfig,
    new_base: &ImageConfig,
    force: bool,
) -> anyhow::Result<()> {
    let app_api = app.env(platform::inputs::variables::PLATFORM_API);
    if api::is_on_stack(app_api).context("failed to get app image platform API")? {
        check_stack(app, new_base)?;
        check_mixins(app, new_base)
    } else {
        check_rebasable(app, force)?;
        check_target(app, new_base, force)
    }
}

fn check_stack(app: &ImageConfig, new_base: &ImageConfig) -> anyhow::Result<()> {
    let stack_of = |config: &ImageConfig| {
        config
            .label(labels::STACK_ID)
            .unwrap_or_default()
            .to_owned()
    };
    let (old, new) = (stack_of(app), stack_of(new_base));
    if old.is_empty() {
        bail!("stack not defined on app image");
    }
    if new.is_empty() {
        bail!("stack not defined on new base image");
    }
    if old != new {
        bail!("incompatible stack: '{new}' is not compatible with '{old}'");
    }
    Ok(())
}

fn check_mixins(app: &ImageConfig, new_base: &ImageConfig) -> anyhow::Result<()> {
    let wanted = mixins(app).context("get app image mixins")?;
    let there = mixins(new_base).context("get run image mixins")?;
    let missing: Vec<_> = wanted.difference(&there).map(String::as_str).collect();
    if !missing.is_empty() {
        bail!("missing required mixin(s): {}", missing.join(", "));
    }
    Ok(())
}

/// Returns the mixins, without the stage that some are for.
fn mixins(config: &ImageConfig) -> anyhow::Result<BTreeSet<String>> {
    let key = labels::MIXINS;
    let label = config.label(key).filter(|label| !label.is_empty());
    let Some(label) = label else {
        return Ok(BTreeSet::new());
    };
    let mixins: Option<Vec<String>> = serde_json::from_str(label)
        .with_context(|| format!("failed to unmarshal context of label '{key}'"))?;
    let without_stage = |mixin: String| match mixin.split_once(':') {
        Some((_, mixin)) => mixin.to_owned(),
        None => mixin,
    };
    Ok(mixins.into_iter().flatten().map(without_stage).collect())
}

fn check_rebasable(app: &ImageConfig, force: bool) -> anyhow::Result<()> {
    let doubt = "app image is not marked as rebasable";
    if app.label(labels::REBASABLE) != Some("false") {
        return Ok(());
    }
    doubted(doubt, force)
}

fn check_target(app: &ImageConfig, new_base: &ImageConfig, force: bool) -> anyhow::Result<()> {
    let (old, new) = (target::of_image(app), target::of_image(new_base));
    if satisfies(&new, &old) {
        return Ok(());
    }
    let (old, new) = (json::to_string(&old)?, json::to_string(&new)?);
    let doubt = format!(
        "unable to satisfy target os/arch constraints; new run image: {new}, old run image: {old}"
    );
    doubted(&doubt, force)
}

/// Returns whether an app that was built for `old` runs on `new`. Of distributions, what the new base does not say counts as equal.
fn satisfies(new: &Target, old: &Target) -> bool {
    let equal_if_said = |one: &str, other: &str| one.is_empty() || one == other;
    let variants = [&new.arch_variant, &old.arch_variant];
    if new.os != old.os || new.arch != old.arch {
        return false;
    }
    if variants.iter().all(|it| !it.is_empty()) && variants[0] != variants[1] {
        return false;
    }
    match (&new.distro, &old.distro) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(new), Some(old)) => {
            equal_if_said(&new.name, &old.name) && equal_if_said(&new.version, &old.version)
        }
    }
}

/// Fails with a doubt, or only says it where the platform insists.
pub(crate) fn doubted(doubt: &str, force: bool) -> anyhow::Result<()> {
    if !force {
        bail!("{doubt}; {FORCE}");
    }
    tracing::warn!("{doubt}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(api: &str, labels: &[(&str, &str)]) -> ImageConfig {
        let mut config = ImageConfig {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..ImageConfig::default()
        };
        config.set_env("CNB_PLATFORM_API", api);
        for (key, value) in labels {
            config
                .config
                .labels
                .insert((*key).to_owned(), (*value).to_owned());
        }
        config
    }

    fn text(result: anyhow::Result<()>) -> Option<String> {
        result.err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn stacks_are_the_same() {
        let key = "io.buildpacks.stack.id";
        for (old, new, expected) in [
            (&[(key, "a")][..], &[(key, "a")][..], None),
            (&[], &[(key, "a")], Some("stack not defined on app image")),
            (
                &[(key, "")],
                &[(key, "a")],
                Some("stack not defined on app image"),
            ),
            (&[], &[], Some("stack not defined on app image")),
            (
                &[(key, "a")],
                &[],
                Some("stack not defined on new base image"),
            ),
            (
                &[(key, "a")],
                &[(key, "")],
                Some("stack not defined on new base image"),
            ),
            (
                &[(key, "a")],
                &[(key, "b")],
                Some("incompatible stack: 'b' is not compatible with 'a'"),
            ),
        ] {
            for force in [false, true] {
                let result = validate(&config("0.11", old), &config("0.11", new), force);
                assert_eq!(text(result).as_deref(), expected, "{old:?} {new:?} {force}");
            }
        }
    }

    #[test]
    fn mixins_are_all_there() {
        let unreadable = "failed to unmarshal context of label 'io.buildpacks.stack.mixins'";
        for (old, new, expected) in [
            ("", "", None),
            ("[]", "", None),
            ("null", "[]", None),
            (r#"["a"]"#, r#"["b","a"]"#, None),
            (r#"["build:a","b"]"#, r#"["a","run:b"]"#, None),
            (r#"["x:y:z"]"#, r#"["run:y:z"]"#, None),
            (
                r#"["c","b","run:a","d"]"#,
                r#"["d"]"#,
                Some("missing required mixin(s): a, b, c".to_owned()),
            ),
            (
                r#"["a"]"#,
                "",
                Some("missing required mixin(s): a".to_owned()),
            ),
            (
                "{}",
                "[]",
                Some(format!("get app image mixins: {unreadable}")),
            ),
            (
                "[]",
                "x",
                Some(format!("get run image mixins: {unreadable}")),
            ),
        ] {
            let labelled = |mixins| {
                let stack = ("io.buildpacks.stack.id", "s");
                config("0.11", &[stack, ("io.buildpacks.stack.mixins", mixins)])
            };
            for force in [false, true] {
                let found = text(validate(&labelled(old), &labelled(new), force));
                let is_expected = match (&found, &expected) {
                    (Some(found), Some(expected)) => found.starts_with(expected),
                    (found, expected) => found == expected,
                };
                assert!(is_expected, "{old} {new} {force}: {found:?}");
            }
        }
    }

    #[test]
    fn only_false_is_not_rebasable() {
        let refused = "app image is not marked as rebasable; please provide -force to override";
        for (label, expected) in [
            (None, None),
            (Some("true"), None),
            (Some(""), None),
            (Some("False"), None),
            (Some("0"), None),
            (Some("false"), Some(refused)),
        ] {
            let labels: Vec<_> = label
                .map(|it| ("io.buildpacks.rebasable", it))
                .into_iter()
                .collect();
            let (app, run) = (config("0.12", &labels), config("", &[]));
            assert_eq!(
                text(validate(&app, &run, false)).as_deref(),
                expected,
                "{label:?}"
            );
            assert_eq!(text(validate(&app, &run, true)), None, "{label:?}");
            // Images of stacks have no such label.
            let labels: Vec<_> = labels
                .into_iter()
                .chain([("io.buildpacks.stack.id", "s")])
                .collect();
            let (app, run) = (
                config("0.11", &labels),
                config("", &labels[labels.len() - 1..]),
            );
            assert_eq!(text(validate(&app, &run, false)), None, "{label:?}");
        }
    }

    /// Writes a target as `os/arch/variant/name/version`; `-` for no distribution at all.
    fn target(text: &str) -> ImageConfig {
        let [os, arch, variant, name, version] = text.split('/').collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        let mut config = config("0.12", &[("io.buildpacks.base.id", text)]);
        config.os = os.to_owned();
        config.architecture = arch.to_owned();
        config.variant = variant.to_owned();
        for (key, value) in [
            ("io.buildpacks.base.distro.name", name),
            ("io.buildpacks.base.distro.version", version),
        ] {
            if value != "-" {
                config
                    .config
                    .labels
                    .insert(key.to_owned(), value.to_owned());
            }
        }
        config
    }

    #[test]
    fn targets_fit() {
        for (old, new, fits) in [
            ("linux/arm/v7/ubuntu/24", "linux/arm/v7/ubuntu/24", true),
            ("linux/arm//-/-", "windows/arm//-/-", false),
            ("linux/arm//-/-", "linux/amd64//-/-", false),
            ("linux/arm//-/-", "/arm//-/-", false),
            ("linux/arm/v7/-/-", "linux/arm/v6/-/-", false),
            ("linux/arm/v7/-/-", "linux/arm//-/-", true),
            ("linux/arm//-/-", "linux/arm/v6/-/-", true),
            ("linux/arm//ubuntu/24", "linux/arm//-/-", true),
            ("linux/arm//-/-", "linux/arm//ubuntu/24", false),
            ("linux/arm//-/-", "linux/arm//-/24", false),
            ("linux/arm//ubuntu/24", "linux/arm//debian/24", false),
            ("linux/arm//ubuntu/24", "linux/arm//ubuntu/22", false),
            ("linux/arm//ubuntu/24", "linux/arm//ubuntu/-", true),
            ("linux/arm//ubuntu/24", "linux/arm//-/24", true),
            ("linux/arm//ubuntu/-", "linux/arm//ubuntu/24", false),
            ("linux/arm//-/24", "linux/arm///24", true),
        ] {
            let result = validate(&target(old), &target(new), false);
            assert_eq!(result.is_ok(), fits, "{old} {new}");
            validate(&target(old), &target(new), true).expect("force helps");
        }
        let failed = validate(
            &target("linux/arm/v7/ubuntu/24"),
            &target("linux/arm/v6/-/-"),
            false,
        );
        let expected = r#"unable to satisfy target os/arch constraints; new run image: {"id":"linux/arm/v6/-/-","os":"linux","arch":"arm","arch-variant":"v6"}, old run image: {"id":"linux/arm/v7/ubuntu/24","os":"linux","arch":"arm","arch-variant":"v7","distro":{"name":"ubuntu","version":"24"}}; please provide -force to override"#;
        assert_eq!(text(failed).as_deref(), Some(expected));
    }
}
