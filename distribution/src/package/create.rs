//! A package.toml becomes a buildpackage.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use layout::config::CREATED;
use layout::draft::Draft;
use layout::editor::{CommitOptions, Committed};
use layout::layer::{self, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout, json, store};
use serde::Deserialize;

use super::{Package, Sources, stacks};
use crate::labels::{self, Layers, PackageMetadata};
use crate::module::{Kind, Module};
use crate::{archive, package};

/// What pack takes where nothing says for which architecture a package is.
const DEFAULT_ARCHITECTURE: &str = "amd64";

/// A package.toml. Keys that it does not know are errors: they are misspelt more often than new.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The entry, if it is a buildpack.
    pub buildpack: Option<Uri>,
    /// The entry, if it is an extension.
    pub extension: Option<Uri>,
    /// What the entry's order names.
    pub dependencies: Vec<Dependency>,
    /// What it is for, in old files.
    pub platform: Option<OldPlatform>,
    /// What it is for; the first counts.
    pub targets: Vec<TargetConfig>,
}

/// Where a module is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uri {
    /// As [`package::open`] takes it.
    pub uri: String,
}

/// Where a dependency is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dependency {
    /// As [`package::open`] takes it.
    pub uri: String,
    /// Name of an image, in old files.
    pub image: String,
}

/// `[platform]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OldPlatform {
    /// Operating system.
    pub os: String,
}

/// One of `[[targets]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetConfig {
    /// Operating system; empty is linux.
    pub os: String,
    /// Architecture; empty is any.
    pub arch: String,
    /// Variant of the architecture.
    pub variant: String,
    /// Distributions, which an image does not say.
    pub distros: Vec<labels::Distro>,
}

impl Config {
    /// Reads a package.toml.
    pub fn read(path: &Path) -> Result<Self, CreateError> {
        let text = fs_err::read_to_string(path)?;
        let invalid = |problem: String| CreateError::Config {
            path: path.to_owned(),
            problem,
        };
        let config: Self = toml::from_str(&text).map_err(|e| invalid(e.to_string()))?;
        for dependency in &config.dependencies {
            if !dependency.uri.is_empty() && !dependency.image.is_empty() {
                return Err(invalid("a dependency has both uri and image".to_owned()));
            }
        }
        Ok(config)
    }

    fn entry(&self) -> Result<(Kind, &str), CreateError> {
        match (&self.buildpack, &self.extension) {
            (Some(_), Some(_)) => Err(CreateError::Invalid(
                "a package has one entry, buildpack or extension, not both".to_owned(),
            )),
            (_, Some(it)) if !it.uri.is_empty() => Ok((Kind::Extension, &it.uri)),
            (Some(it), _) if !it.uri.is_empty() => Ok((Kind::Buildpack, &it.uri)),
            (None, None) => Ok((Kind::Buildpack, ".")),
            _ => Err(CreateError::Invalid(
                "buildpack.uri or extension.uri is missing".to_owned(),
            )),
        }
    }

    /// Returns what it is for.
    pub fn platform(&self) -> Result<Platform, CreateError> {
        let old_os = self.platform.as_ref().map_or("", |it| it.os.as_str());
        let target = self.targets.first().cloned().unwrap_or_default();
        let os = [target.os.as_str(), old_os, "linux"];
        let os = os.into_iter().find(|it| !it.is_empty()).unwrap_or_default();
        if os != "linux" {
            let problem = format!("packages for {os} cannot be made, only for linux");
            return Err(CreateError::Invalid(problem));
        }
        let arch = [target.arch.as_str(), DEFAULT_ARCHITECTURE];
        let arch = arch.into_iter().find(|it| !it.is_empty());
        Ok(Platform {
            os: os.to_owned(),
            architecture: arch.unwrap_or_default().to_owned(),
            variant: target.variant,
            ..Platform::default()
        })
    }
}

/// What a package is made from.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// package.toml.
    pub config: &'a Config,
    /// Where what it names is looked for.
    pub sources: Sources<'a>,
    /// All modules in one layer, but for these (`id@version`).
    pub flatten: Option<&'a [String]>,
    /// Labels beside those of a package.
    pub labels: &'a BTreeMap<String, String>,
}

/// Makes the package that `creation` says an image; `begin` begins to write it, once all fits together.
pub fn create(
    creation: &Creation<'_>,
    begin: impl FnOnce() -> Result<Box<dyn Draft>, store::Error>,
    ref_name: &str,
) -> Result<Committed, CreateError> {
    let (kind, entry, modules) = collect(creation)?;
    let platform = creation.config.platform()?;
    check(&entry, &modules)?;
    let all = || std::iter::once(&entry).chain(&modules);

    let mut draft = begin().map_err(Box::new)?;
    let mut editor = ImageEditor::empty(&platform);
    let mut layers = Layers::new();
    for group in grouped(all(), creation.flatten) {
        let mut layer = Layer::default();
        for module in &group {
            layer.entries.extend(module.entries().map_err(Box::new)?);
        }
        // Versions of one id share a folder.
        let mut seen = BTreeSet::new();
        layer.entries.retain(|it| seen.insert(it.name.clone()));
        let written = draft.write_layer(&layer, &WriteOptions::default(), None);
        let written = written.map_err(Box::new)?;
        let names: Vec<_> = group.iter().map(|it| it.label()).collect();
        editor.append(&written, history(kind, &names.join(", ")));
        for module in group {
            let info = module.layer_info(written.diff_id.clone());
            let versions = layers.entry(module.info.id.clone()).or_default();
            versions.insert(module.info.version.clone(), info);
        }
    }
    let stacks = match kind {
        Kind::Buildpack => stacks::common(all()),
        Kind::Extension => Vec::new(),
    };
    let metadata = PackageMetadata {
        info: entry.info.clone(),
        stacks,
    };
    let layers_label = match kind {
        Kind::Buildpack => labels::BUILDPACK_LAYERS,
        Kind::Extension => labels::EXTENSION_LAYERS,
    };
    let image = editor.config_mut();
    image.created = Some(CREATED.to_owned());
    let of_image = &mut image.config.labels;
    of_image.extend(creation.labels.clone());
    of_image.insert(
        labels::PACKAGE_METADATA.to_owned(),
        json::to_string(&metadata)?,
    );
    of_image.insert(layers_label.to_owned(), json::to_string(&layers)?);
    let options = CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    };
    Ok(editor.commit(draft, &options).map_err(Box::new)?)
}

/// Makes the package that `creation` says a `.cnb` file.
pub fn create_file(creation: &Creation<'_>, file: &Path) -> Result<Committed, CreateError> {
    let folder = archive::new_folder(creation.sources.scratch)?;
    let committed = create(creation, || Ok(Layout::at(&folder).update()?.into()), "")?;
    archive::pack(&folder, file).map_err(Box::new)?;
    fs_err::remove_dir_all(folder)?;
    Ok(committed)
}

/// Returns the entry, and everything else by id and version.
fn collect(creation: &Creation<'_>) -> Result<(Kind, Module, Vec<Module>), CreateError> {
    let open = |uri: &str| package::open(uri, creation.sources).map_err(Box::new);
    let (kind, uri) = creation.config.entry()?;
    let Package { entry, mut modules } = open(uri)?;
    if entry.is_none() || modules.is_empty() {
        let problem = format!("{uri} does not say which of its modules is the entry");
        return Err(CreateError::Invalid(problem));
    }
    let entry = modules.remove(0);
    if entry.kind != kind {
        let problem = format!(
            "{uri} is the {} {}, not {} {kind}",
            entry.kind,
            entry.label(),
            kind.article()
        );
        return Err(CreateError::Invalid(problem));
    }
    for dependency in &creation.config.dependencies {
        let uri = match (dependency.uri.as_str(), dependency.image.as_str()) {
            ("", "") => return Err(CreateError::Invalid("a dependency has no uri".to_owned())),
            ("", image) => format!("docker://{image}"),
            (uri, _) => uri.to_owned(),
        };
        modules.extend(open(&uri)?.modules);
    }
    if let Some(other) = modules.iter().find(|it| it.kind != kind) {
        let problem = format!(
            "{} {} cannot be in the package of {} {kind}",
            other.kind,
            other.label(),
            kind.article()
        );
        return Err(CreateError::Invalid(problem));
    }
    let name = |it: &Module| (it.info.id.clone(), it.info.version.clone());
    modules.sort_by_key(name);
    modules.dedup_by_key(|it| name(it));
    modules.retain(|it| name(it) != name(&entry));
    Ok((kind, entry, modules))
}

/// Everything that an order names is there, and what is there is named.
fn check(entry: &Module, modules: &[Module]) -> Result<(), CreateError> {
    let mut unused: BTreeSet<String> = modules.iter().map(Module::label).collect();
    let there = unused.clone();
    for module in std::iter::once(entry).chain(modules) {
        for named in module.order.iter().flat_map(|it| &it.group) {
            if named.version.is_empty() {
                return Err(CreateError::Invalid(format!(
                    "buildpack {} must specify a version when referencing buildpack {}",
                    module.label(),
                    named.id
                )));
            }
            if !there.contains(&named.label()) {
                return Err(CreateError::Invalid(format!(
                    "buildpack {} references buildpack {} which is not present\nadd it to [[dependencies]] of the package",
                    module.label(),
                    named.label()
                )));
            }
            unused.remove(&named.label());
        }
    }
    if let Some(unused) = unused.first() {
        return Err(CreateError::Invalid(format!(
            "{} {unused} is not used by {} {}",
            entry.kind,
            entry.kind,
            entry.label()
        )));
    }
    if entry.kind == Kind::Buildpack
        && stacks::common(std::iter::once(entry).chain(modules)).is_empty()
    {
        let problem = "no compatible stacks among provided buildpacks".to_owned();
        return Err(CreateError::Invalid(problem));
    }
    Ok(())
}

/// Returns which modules share a layer.
fn grouped<'a>(
    modules: impl Iterator<Item = &'a Module>,
    flatten: Option<&[String]>,
) -> Vec<Vec<&'a Module>> {
    let Some(exclude) = flatten else {
        return modules.map(|it| vec![it]).collect();
    };
    let (alone, together): (Vec<_>, Vec<_>) = modules.partition(|it| exclude.contains(&it.label()));
    let mut groups: Vec<_> = alone.into_iter().map(|it| vec![it]).collect();
    if !together.is_empty() {
        groups.push(together);
    }
    groups
}

fn history(kind: Kind, what: &str) -> History {
    History {
        created: Some(CREATED.to_owned()),
        created_by: format!("{kind} {what}"),
        ..History::default()
    }
}

/// Why a package could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The `.cnb` file could not be written.
    #[error(transparent)]
    Archive(#[from] Box<archive::Error>),
    /// package.toml is not what it should be.
    #[error("{} is no package configuration: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// What belongs together does not.
    #[error("{0}")]
    Invalid(String),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A label could not be written.
    #[error("failed to write a label")]
    Json(#[from] serde_json::Error),
    /// A layer could not be written.
    #[error("failed to write a layer")]
    Layer(#[from] Box<layer::Error>),
    /// The layout could not be written.
    #[error(transparent)]
    Layout(#[from] Box<store::Error>),
    /// A part of it could not be opened.
    #[error(transparent)]
    Open(#[from] Box<package::Error>),
}
