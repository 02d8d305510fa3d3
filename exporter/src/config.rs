//! The image config but for its labels: environment, entrypoint, history, dates (EXP-063 to EXP-072).
//!
//! User, ports, volumes and other variables stay as the run image has them.

use std::path::Path;

use anyhow::bail;
use layout::{History, ImageConfig};
use platform::PlatformApi;
use platform::files::BuildMetadata;

use crate::launcher::{LAUNCHER_PATH, LIFECYCLE_DIR, PROCESS_DIR, process_path};

/// Dates the image and every history entry; below 0.12 nothing but the date is left of an entry (EXP-066).
pub(crate) fn set_created(config: &mut ImageConfig, api: PlatformApi, created: &str) {
    config.created = Some(created.to_owned());
    if !api.has_history() {
        config.history = vec![History::default(); config.diff_ids.len()];
    }
    for entry in &mut config.history {
        entry.created = Some(created.to_owned());
    }
}

/// Sets the variables that the launcher reads, and puts it on the PATH (EXP-068, EXP-069).
pub(crate) fn set_env(
    config: &mut ImageConfig,
    api: PlatformApi,
    layers_dir: &Path,
    app_dir: &Path,
) {
    let path = path_of(config).to_owned();
    let variables = [
        ("CNB_LAYERS_DIR", layers_dir.display().to_string()),
        ("CNB_APP_DIR", app_dir.display().to_string()),
        ("CNB_PLATFORM_API", api.version().to_string()),
        ("CNB_DEPRECATION_MODE", "quiet".to_owned()),
    ];
    for (name, value) in variables {
        tracing::debug!("Setting {name}={value}");
        config.set_env(name, &value);
    }
    tracing::debug!("Prepending {PROCESS_DIR} and {LIFECYCLE_DIR} to PATH");
    config.set_env("PATH", &format!("{PROCESS_DIR}:{LIFECYCLE_DIR}:{path}"));
}

/// Sets what is started, and where; arguments of the run image make no sense to the launcher (EXP-070 to EXP-072).
pub(crate) fn set_start(
    config: &mut ImageConfig,
    build: &BuildMetadata,
    process_type: Option<&str>,
    app_dir: &Path,
) -> anyhow::Result<()> {
    tracing::debug!("Setting WORKDIR: '{}'", app_dir.display());
    config.config.working_dir = app_dir.display().to_string();
    let entrypoint = entrypoint(build, process_type)?;
    tracing::debug!("Setting ENTRYPOINT: '{entrypoint}'");
    config.config.entrypoint = vec![entrypoint];
    config.config.cmd.clear();
    Ok(())
}

/// Only a type that the user asked for is looked up; a buildpack's default is believed.
fn entrypoint(build: &BuildMetadata, process_type: Option<&str>) -> anyhow::Result<String> {
    let chosen = match process_type {
        Some(wanted) => {
            let mut processes = build.processes.iter().flatten();
            if !processes.any(|process| process.process_type == wanted) {
                bail!("tried to set {wanted} to default but it doesn't exist");
            }
            wanted
        }
        None if build.default_process_type.is_empty() => {
            tracing::info!("no default process type");
            return Ok(LAUNCHER_PATH.to_owned());
        }
        None => &build.default_process_type,
    };
    tracing::info!("Setting default process type '{chosen}'");
    Ok(process_path(chosen))
}

/// Returns the PATH, or nothing where it holds a `=`: the reference takes such a variable for none (EXP-069).
fn path_of(config: &ImageConfig) -> &str {
    let mut values = config
        .config
        .env
        .iter()
        .filter_map(|variable| variable.strip_prefix("PATH="));
    values
        .find(|value| !value.contains('='))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use buildpack::launch::Process;
    use layout::{DiffId, digest};

    use super::*;

    fn api(text: &str) -> PlatformApi {
        PlatformApi::negotiate(Some(text)).expect("supported")
    }

    fn history(created_by: &str) -> History {
        History {
            created_by: created_by.to_owned(),
            comment: "kept".to_owned(),
            ..History::default()
        }
    }

    fn with_layers(count: usize, history: Vec<History>) -> ImageConfig {
        ImageConfig {
            diff_ids: vec![DiffId(digest::sha256(b"layer")); count],
            history,
            ..ImageConfig::default()
        }
    }

    #[test]
    fn history_loses_its_texts_below_0_12() {
        let mut new = with_layers(1, vec![history("a")]);
        let mut old = new.clone();
        set_created(&mut new, api("0.12"), "then");
        set_created(&mut old, api("0.11"), "then");
        assert_eq!(new.created.as_deref(), Some("then"));
        let dated = |entry: History| History {
            created: Some("then".to_owned()),
            ..entry
        };
        assert_eq!(new.history, [dated(history("a"))]);
        assert_eq!(old.history, [dated(History::default())]);
    }

    #[test]
    fn variables_are_replaced_in_place_or_appended_in_order() {
        let mut config = ImageConfig::default();
        let before = ["BASE=run", "CNB_APP_DIR=/old", "PATH=/bin", "Z=1"];
        config.config.env = before.map(str::to_owned).to_vec();
        set_env(
            &mut config,
            api("0.13"),
            Path::new("/layers"),
            Path::new("/app"),
        );
        assert_eq!(
            config.config.env,
            [
                "BASE=run",
                "CNB_APP_DIR=/app",
                "PATH=/cnb/process:/cnb/lifecycle:/bin",
                "Z=1",
                "CNB_LAYERS_DIR=/layers",
                "CNB_PLATFORM_API=0.13",
                "CNB_DEPRECATION_MODE=quiet",
            ]
        );
    }

    #[test]
    fn a_path_with_an_equals_sign_is_lost() {
        for (env, expected) in [
            (vec!["PATH=/a=b:/c"], ""),
            (vec!["PATH=/a"], "/a"),
            (vec!["XPATH=/a"], ""),
            (vec![], ""),
        ] {
            let mut config = ImageConfig::default();
            config.config.env = env.into_iter().map(str::to_owned).collect();
            assert_eq!(path_of(&config), expected);
        }
    }

    #[test]
    fn the_entrypoint_is_the_process_type_asked_for_else_the_default_else_the_launcher() {
        let mut build = BuildMetadata {
            processes: Some(vec![Process {
                process_type: "web".to_owned(),
                ..Process::default()
            }]),
            ..BuildMetadata::default()
        };
        let launcher = "/cnb/lifecycle/launcher";
        assert_eq!(entrypoint(&build, None).expect("launcher"), launcher);
        assert_eq!(
            entrypoint(&build, Some("web")).expect("web"),
            "/cnb/process/web"
        );
        let error = entrypoint(&build, Some("job")).expect_err("no such process");
        assert_eq!(
            error.to_string(),
            "tried to set job to default but it doesn't exist"
        );
        build.default_process_type = "unchecked".to_owned();
        assert_eq!(
            entrypoint(&build, None).expect("default"),
            "/cnb/process/unchecked"
        );
        assert_eq!(
            entrypoint(&build, Some("web")).expect("web"),
            "/cnb/process/web"
        );
    }

    #[test]
    fn starting_replaces_what_the_run_image_started() {
        let mut config = ImageConfig::default();
        config.config.cmd = vec!["old".to_owned()];
        config.config.entrypoint = vec!["/old".to_owned()];
        let build = BuildMetadata::default();
        set_start(&mut config, &build, None, Path::new("/app")).expect("set");
        assert!(config.config.cmd.is_empty());
        assert_eq!(config.config.entrypoint, ["/cnb/lifecycle/launcher"]);
        assert_eq!(config.config.working_dir, "/app");
    }
}
