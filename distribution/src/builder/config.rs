//! builder.toml, in pack's format.
//!
//! Keys that it does not know are errors, as in pack: they are misspelt more often than new.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::create::CreateError;
use super::metadata::RunImage;
use crate::labels::{Group, ModuleRef, System, SystemBuildpacks};
use crate::package::TargetConfig;

/// A builder.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What the builder is for.
    pub description: String,
    /// Buildpacks to put into it.
    pub buildpacks: Vec<ModuleConfig>,
    /// Extensions to put into it.
    pub extensions: Vec<ModuleConfig>,
    /// Groups of buildpacks to try.
    pub order: Vec<GroupConfig>,
    /// Groups of extensions to try.
    pub order_extensions: Vec<GroupConfig>,
    /// Buildpacks around every group.
    pub system: SystemConfig,
    /// The stack, for old Platform APIs.
    pub stack: StackConfig,
    /// The image that it is made from.
    pub build: BuildConfig,
    /// Images that apps run on.
    pub run: RunConfig,
    /// The lifecycle.
    pub lifecycle: LifecycleConfig,
    /// What it is for; the base must be one of them.
    pub targets: Vec<TargetConfig>,
}

/// A buildpack or extension, and where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModuleConfig {
    /// Its id, which must be that of its descriptor.
    pub id: String,
    /// Its version, which must be that of its descriptor.
    pub version: String,
    /// As `package::open` takes it.
    pub uri: String,
    /// Name of an image, in old files.
    pub image: String,
}

/// One `[[order]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// Its elements.
    pub group: Vec<RefConfig>,
}

/// One `[[order.group]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefConfig {
    /// Id of a module in the builder.
    pub id: String,
    /// Its version; may be missing if there is only one.
    pub version: String,
    /// True if a build may go on without it.
    pub optional: bool,
}

/// `[system]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemConfig {
    /// In front of every group.
    pub pre: SystemSide,
    /// Behind every group.
    pub post: SystemSide,
}

/// One side of `[system]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemSide {
    /// In order.
    pub buildpacks: Vec<RefConfig>,
}

/// `[stack]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StackConfig {
    /// Its id.
    pub id: String,
    /// What `build.image` is called in old files.
    pub build_image: String,
    /// What `run.images` is called in old files.
    pub run_image: String,
    /// Where else the run image can be had.
    pub run_image_mirrors: Vec<String>,
}

/// `[build]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildConfig {
    /// Name of the base image.
    pub image: String,
    /// Variables of builds.
    pub env: Vec<EnvConfig>,
}

/// One `[[build.env]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EnvConfig {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// `default`, `override`, `append` or `prepend`; none sets it where the user does not.
    pub suffix: String,
    /// What stands between values that are put together.
    pub delim: String,
    /// Execution environments that it is for; pack reads it and does nothing with it, and so does this.
    pub exec_env: Vec<String>,
}

/// `[run]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// Images that apps run on; the first is the usual one.
    pub images: Vec<RunImage>,
}

/// `[lifecycle]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleConfig {
    /// Where its archive or folder is.
    pub uri: String,
    /// Its version.
    pub version: String,
}

impl Config {
    /// Reads a builder.toml and works out what `[stack]`, `[build]` and `[run]` say together.
    pub fn read(path: &Path) -> Result<Self, CreateError> {
        let text = fs_err::read_to_string(path)?;
        let config: Result<Self, _> = toml::from_str(&text);
        let config = config.map_err(|e| e.to_string());
        config
            .and_then(Self::merged)
            .map_err(|problem| CreateError::Config {
                path: path.to_owned(),
                problem,
            })
    }

    fn merged(mut self) -> Result<Self, String> {
        let (build, stack) = (&mut self.build.image, &self.stack);
        if build.is_empty() {
            build.clone_from(&stack.build_image);
        }
        if build.is_empty() {
            return Err("build.image is required".to_owned());
        }
        if !stack.build_image.is_empty() && *build != stack.build_image {
            return Err("build.image and stack.build-image do not match".to_owned());
        }
        if self.run.images.is_empty() && !stack.run_image.is_empty() {
            self.run.images.push(RunImage {
                image: stack.run_image.clone(),
                mirrors: stack.run_image_mirrors.clone(),
            });
        }
        let Some(first) = self.run.images.first() else {
            return Err("run.images are required".to_owned());
        };
        if self.run.images.iter().any(|it| it.image.is_empty()) {
            return Err("run.images.image is required".to_owned());
        }
        if !stack.run_image.is_empty() && first.image != stack.run_image {
            return Err("run.images and stack.run-image do not match".to_owned());
        }
        if !self.lifecycle.uri.is_empty() && !self.lifecycle.version.is_empty() {
            return Err("lifecycle can only declare version or uri, not both".to_owned());
        }
        for module in self.buildpacks.iter().chain(&self.extensions) {
            if module.uri.is_empty() == module.image.is_empty() {
                let name = &module.id;
                return Err(format!("module {name:?} needs either uri or image"));
            }
        }
        self.environment()?;
        Ok(self)
    }

    /// Returns the files of `/cnb/build-config/env`, by name.
    pub(super) fn environment(&self) -> Result<BTreeMap<String, &str>, String> {
        let mut files = BTreeMap::new();
        for variable in &self.build.env {
            let name = &variable.name;
            if name.is_empty() || name.contains(['/', '=', '\0']) {
                return Err(format!("build.env.name {name:?} is no name of a variable"));
            }
            let file = match variable.suffix.as_str() {
                "" => name.clone(),
                "default" | "override" | "append" | "prepend" => {
                    format!("{name}.{}", variable.suffix)
                }
                other => return Err(format!("unknown action type {other:?} of build.env {name}")),
            };
            files.insert(file, variable.value.as_str());
            if !variable.delim.is_empty() {
                files.insert(format!("{name}.delim"), variable.delim.as_str());
            }
        }
        for variable in &self.build.env {
            let (name, suffix) = (&variable.name, &variable.suffix);
            let joins = matches!(suffix.as_str(), "append" | "prepend");
            if joins && !files.contains_key(&format!("{name}.delim")) {
                return Err(format!(
                    "build.env {name} with suffix {suffix:?} must have a delim"
                ));
            }
        }
        Ok(files)
    }
}

impl From<&GroupConfig> for Group {
    fn from(config: &GroupConfig) -> Self {
        Self {
            group: config.group.iter().map(ModuleRef::from).collect(),
        }
    }
}

impl From<&RefConfig> for ModuleRef {
    fn from(config: &RefConfig) -> Self {
        Self {
            id: config.id.clone(),
            version: config.version.clone(),
            optional: config.optional,
        }
    }
}

impl From<&SystemConfig> for System {
    fn from(config: &SystemConfig) -> Self {
        let side = |of: &SystemSide| SystemBuildpacks {
            buildpacks: of.buildpacks.iter().map(ModuleRef::from).collect(),
        };
        Self {
            pre: side(&config.pre),
            post: side(&config.post),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("builder.toml");
        fs_err::write(&path, text).unwrap();
        Config::read(&path).map_err(|e| e.to_string())
    }

    const MINIMAL: &str = "[build]\nimage = \"b\"\n[[run.images]]\nimage = \"r\"\n";

    #[test]
    fn stacks_of_old_stand_for_images() {
        let old = "[stack]\nid = \"s\"\nbuild-image = \"b\"\nrun-image = \"r\"\nrun-image-mirrors = [\"m\"]\n";
        let config = read(old).unwrap();
        assert_eq!(config.build.image, "b");
        assert_eq!(config.run.images[0].image, "r");
        assert_eq!(config.run.images[0].mirrors, ["m"]);
        let both = format!("{old}{MINIMAL}");
        assert_eq!(read(&both).unwrap().run.images.len(), 1);
    }

    #[test]
    fn variables_become_files() {
        let text = format!(
            "{MINIMAL}[[build.env]]\nname = \"A\"\nvalue = \"1\"\n[[build.env]]\nname = \"P\"\nvalue = \"x\"\nsuffix = \"append\"\ndelim = \":\"\n"
        );
        let config = read(&text).unwrap();
        let files: Vec<_> = config.environment().unwrap().into_iter().collect();
        let expected = [("A", "1"), ("P.append", "x"), ("P.delim", ":")];
        assert_eq!(files, expected.map(|(name, text)| (name.to_owned(), text)));
    }

    #[test]
    fn contradictions_are_refused() {
        let cases = [
            ("", "build.image is required"),
            ("[build]\nimage = \"b\"", "run.images are required"),
            (
                "[build]\nimage = \"b\"\n[[run.images]]\nmirrors = [\"m\"]",
                "run.images.image is required",
            ),
            (
                "[build]\nimage = \"b\"\n[stack]\nbuild-image = \"c\"",
                "build.image and stack.build-image do not match",
            ),
            (
                "[build]\nimage = \"b\"\n[[run.images]]\nimage = \"r\"\n[stack]\nrun-image = \"s\"",
                "run.images and stack.run-image do not match",
            ),
            ("buildpaks = []", "unknown field `buildpaks`"),
            (
                "[[order]]\n[[order.group]]\nid = \"a\"\noptionl = true",
                "unknown field `optionl`",
            ),
        ];
        let more = [
            (
                "[lifecycle]\nuri = \"a\"\nversion = \"1\"",
                "version or uri, not both",
            ),
            (
                "[[buildpacks]]\nid = \"a\"",
                "module \"a\" needs either uri or image",
            ),
            (
                "[[build.env]]\nvalue = \"a\"",
                "build.env.name \"\" is no name of a variable",
            ),
            ("[[build.env]]\nname = \"../a\"", "is no name of a variable"),
            (
                "[[build.env]]\nname = \"A\"\nsuffix = \"x\"",
                "unknown action type \"x\"",
            ),
            (
                "[[build.env]]\nname = \"A\"\nsuffix = \"prepend\"",
                "build.env A with suffix \"prepend\" must have a delim",
            ),
        ];
        let more = more.map(|(text, expected)| (format!("{MINIMAL}{text}"), expected));
        let cases = cases.map(|(text, expected)| (text.to_owned(), expected));
        for (text, expected) in cases.into_iter().chain(more) {
            let error = read(&text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(error.contains("builder.toml"), "{error}");
        }
    }
}
