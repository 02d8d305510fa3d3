//! Labels of the app image, in the order in which they are set (EXP-073 to EXP-081).
//!
//! Others come from the run image as they are, `io.buildpacks.rebasable` among them (EXP-075).

use layout::ImageConfig;
use platform::PlatformApi;
use platform::files::metadata::LauncherRecord;
use platform::files::{BuildMetadata, LayersMetadata, ProjectMetadata};
use platform::labels;

/// What labels are made of.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) layers: &'a LayersMetadata,
    pub(crate) build: &'a BuildMetadata,
    pub(crate) project: &'a ProjectMetadata,
    pub(crate) launcher: &'a LauncherRecord,
    pub(crate) exec_env: &'a str,
}

/// Sets them; a later one with the same key wins, so buildpacks can replace the first three.
pub(crate) fn set(config: &mut ImageConfig, api: PlatformApi, sources: &Sources<'_>) {
    let build = sources.build.to_label(api, sources.launcher);
    add(
        config,
        labels::LIFECYCLE_METADATA,
        sources.layers.to_label(),
    );
    add(config, labels::BUILD_METADATA, build);
    add(config, labels::PROJECT_METADATA, sources.project.to_label());
    for label in &sources.build.labels {
        add(config, &label.key, label.value.clone());
    }
    if api.has_exec_env() && !sources.exec_env.is_empty() {
        add(config, labels::EXEC_ENV, sources.exec_env.to_owned());
    }
}

fn add(config: &mut ImageConfig, key: &str, value: String) {
    tracing::info!("Adding label '{key}'");
    config.config.labels.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use buildpack::launch::Label;

    use super::*;

    fn config_with(api: &str, labels: &[(&str, &str)], exec_env: &str) -> ImageConfig {
        let build = BuildMetadata {
            labels: labels
                .iter()
                .map(|(key, value)| Label {
                    key: (*key).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
            ..BuildMetadata::default()
        };
        let mut config = ImageConfig::default();
        config
            .config
            .labels
            .insert("kept".to_owned(), "yes".to_owned());
        config
            .config
            .labels
            .insert(labels::LIFECYCLE_METADATA.to_owned(), "stale".to_owned());
        let api = PlatformApi::negotiate(Some(api)).expect("supported");
        let sources = Sources {
            layers: &LayersMetadata::default(),
            build: &build,
            project: &ProjectMetadata::default(),
            launcher: &LauncherRecord::default(),
            exec_env,
        };
        set(&mut config, api, &sources);
        config
    }

    #[test]
    fn buildpack_labels_win_and_base_labels_stay() {
        let overwriting = [
            (labels::PROJECT_METADATA, "mine"),
            (labels::BUILD_METADATA, "mine"),
            ("a", "1"),
            ("a", "2"),
            (labels::EXEC_ENV, "mine"),
        ];
        let config = config_with("0.15", &overwriting, "production");
        assert_eq!(config.label(labels::BUILD_METADATA), Some("mine"));
        assert_eq!(config.label(labels::PROJECT_METADATA), Some("mine"));
        assert_eq!(config.label("a"), Some("2"));
        assert_eq!(config.label("kept"), Some("yes"));
        assert_ne!(config.label(labels::LIFECYCLE_METADATA), Some("stale"));
        assert_eq!(config.label(labels::EXEC_ENV), Some("production"));
        let config = config_with(
            "0.15",
            &[(labels::LIFECYCLE_METADATA, "mine")],
            "production",
        );
        assert_eq!(config.label(labels::LIFECYCLE_METADATA), Some("mine"));
    }

    #[test]
    fn the_execution_environment_is_labelled_from_0_15_on() {
        let config = config_with("0.14", &[], "production");
        assert_eq!(config.label(labels::EXEC_ENV), None);
        // EXP-081
        assert_eq!(config.label(labels::PROJECT_METADATA), Some("{}"));
    }
}
