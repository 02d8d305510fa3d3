//! A builder.toml becomes a builder: a build image with folders, lifecycle, modules, order and run images on top, in pack's
//! order of layers, so that what changes rarely lies below (DST-009 to DST-018).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use layout::config::CREATED;
use layout::draft::Draft;
use layout::editor::{CommitOptions, Committed};
use layout::{Image, json, layer, store};
use platform::files::lifecycle::Descriptor;
use platform::labels::MIXINS;

use super::assembly::Assembly;
use super::checks::{self, Base};
use super::config::{Config, LifecycleConfig};
use super::metadata::{CreatedBy, LifecycleMetadata, Metadata, StackMetadata};
use super::{Error, optional_label};
use crate::labels::{self, Group, Layers, ModuleInfo, ModuleRef, System};
use crate::lifecycle::{self, Lifecycle};
use crate::module::{Kind, Module};
use crate::package::{self, Location, Sources};

/// What a builder is made from.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// builder.toml.
    pub config: &'a Config,
    /// Where what it names is looked for.
    pub sources: Sources<'a>,
    /// The build image, which `config.build.image` names.
    pub base: &'a Image,
    /// The lifecycle, as [`find_lifecycle`] finds it.
    pub lifecycle: &'a Lifecycle,
    /// Labels beside those of a builder.
    pub labels: &'a BTreeMap<String, String>,
    /// Who makes it.
    pub created_by: &'a CreatedBy,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The image.
    pub image: Committed,
    /// What its maker should look at.
    pub warnings: Vec<String>,
}

/// Finds the lifecycle that builder.toml asks for; `here` is the one that is at hand, a folder or archive.
pub fn find_lifecycle(
    config: &LifecycleConfig,
    sources: Sources<'_>,
    here: &Path,
) -> Result<Lifecycle, CreateError> {
    let scratch = sources.scratch;
    if !config.uri.is_empty() {
        let lifecycle = match Location::parse(&config.uri, sources.relative_to) {
            Location::Path(path) => Lifecycle::open(&path, scratch),
            Location::Image(name) => {
                let image = sources.images.open(&name).map_err(package::Error::Image);
                Lifecycle::from_image(&image.map_err(Box::new)?, scratch)
            }
            _ => {
                return Err(CreateError::Invalid(format!(
                    "cannot get lifecycle {}: no archive is downloaded from here yet\ndownload its archive, and name the file; or name its image, such as docker://docker.io/buildpacksio/lifecycle",
                    config.uri
                )));
            }
        };
        return Ok(lifecycle.map_err(Box::new)?);
    }
    let lifecycle = Lifecycle::open(here, scratch).map_err(Box::new)?;
    let (wanted, found) = (config.version.as_str(), lifecycle.version());
    let is_compatible = found.split_once('+').is_some_and(|(it, _)| it == wanted);
    if !wanted.is_empty() && found != wanted && !is_compatible {
        return Err(CreateError::Invalid(format!(
            "lifecycle {wanted} is not here, only {found}: nothing is downloaded from here yet\nleave lifecycle.version out to take {found}, or name an archive or an image: lifecycle.uri"
        )));
    }
    Ok(lifecycle)
}

/// Makes the builder that `creation` says an image, the same bytes for the same inputs; `begin` begins to write it, once all
/// fits together.
pub fn create(
    creation: &Creation<'_>,
    begin: impl FnOnce() -> Result<Box<dyn Draft>, store::Error>,
    ref_name: &str,
) -> Result<Created, CreateError> {
    let Creation { config, base, .. } = *creation;
    let mut warnings = Vec::new();
    if config.order.is_empty() {
        warnings
            .push("the order of the builder is empty: its users must name buildpacks".to_owned());
    }
    let base_facts = Base::read(base, config)?;
    let descriptor = &creation.lifecycle.descriptor;
    let buildpacks = Modules::collect(creation, Kind::Buildpack, &mut warnings)?;
    let extensions = Modules::collect(creation, Kind::Extension, &mut warnings)?;
    check(&base_facts, descriptor, &buildpacks, &extensions)?;
    checks::extensions_need_api(config, descriptor)?;
    let order = resolved(&config.order, &buildpacks)?;
    let mut order_extensions = resolved(&config.order_extensions, &extensions)?;
    for reference in order_extensions.iter_mut().flat_map(|it| &mut it.group) {
        // They always are; saying so is left out.
        reference.optional = false;
    }
    let system = resolved_system(&System::from(&config.system), &buildpacks)?;

    let draft = begin().map_err(Box::new)?;
    let mut assembly = Assembly::begin(base, draft, creation.sources.scratch)?;
    assembly.folders(base_facts.uid, base_facts.gid)?;
    assembly.lifecycle(creation.lifecycle)?;
    let buildpack_layers = assembly.modules(&buildpacks.new, buildpacks.there)?;
    let extension_layers = assembly.modules(&extensions.new, extensions.there)?;
    assembly.order(&order, &order_extensions)?;
    let has_system = system != System::default();
    if has_system {
        assembly.system(&system)?;
    }
    assembly.run_images(&config.run.images)?;
    let environment = config.environment().map_err(CreateError::Invalid)?;
    if !environment.is_empty() {
        assembly.environment(&environment)?;
    }

    let metadata = Metadata {
        description: config.description.clone(),
        buildpacks: buildpacks.infos,
        extensions: extensions.infos,
        stack: StackMetadata {
            run_image: config.run.images.first().cloned().unwrap_or_default(),
        },
        lifecycle: LifecycleMetadata::of(descriptor),
        created_by: creation.created_by.clone(),
        images: config.run.images.clone(),
    };
    let mut of_builder = vec![
        (labels::BUILDER_METADATA, json::to_string(&metadata)?),
        (
            labels::BUILDPACK_LAYERS,
            json::to_string(&buildpack_layers)?,
        ),
        (
            labels::EXTENSION_LAYERS,
            json::to_string(&extension_layers)?,
        ),
        (labels::ORDER, json::to_string(&order)?),
        (
            labels::ORDER_EXTENSIONS,
            json::to_string(&order_extensions)?,
        ),
        (MIXINS, json::to_string(&base_facts.mixins)?),
    ];
    if has_system {
        of_builder.push((labels::SYSTEM, json::to_string(&system)?));
    }
    let image = assembly.editor.config_mut();
    image.created = Some(CREATED.to_owned());
    "/layers".clone_into(&mut image.config.working_dir);
    let all = &mut image.config.labels;
    all.extend(creation.labels.clone());
    all.extend(
        of_builder
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    let options = CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    };
    Ok(Created {
        image: assembly.commit(&options)?,
        warnings,
    })
}

/// Modules of one kind in a builder.
pub(super) struct Modules {
    kind: Kind,
    /// What is put into it, by `id@version`, which is the order of the layers.
    pub(super) new: BTreeMap<String, Module>,
    /// What its base has already.
    there: Layers,
    /// All of them, base's first, then as builder.toml has them.
    pub(super) infos: Vec<ModuleInfo>,
}

impl Modules {
    fn collect(
        creation: &Creation<'_>,
        kind: Kind,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CreateError> {
        let base = creation.base;
        let metadata: Metadata = optional_label(base, labels::BUILDER_METADATA)?;
        let (configs, label, infos) = match kind {
            Kind::Buildpack => (
                &creation.config.buildpacks,
                labels::BUILDPACK_LAYERS,
                metadata.buildpacks,
            ),
            Kind::Extension => (
                &creation.config.extensions,
                labels::EXTENSION_LAYERS,
                metadata.extensions,
            ),
        };
        let mut modules = Self {
            kind,
            new: BTreeMap::new(),
            there: optional_label(base, label)?,
            infos,
        };
        for config in configs {
            let location = if config.uri.is_empty() {
                format!("docker://{}", config.image)
            } else {
                config.uri.clone()
            };
            let package = package::open(&location, creation.sources).map_err(Box::new)?;
            checks::entry_is(kind, &location, config, &package)?;
            for module in package.modules {
                modules.add(module, warnings)?;
            }
        }
        Ok(modules)
    }

    fn add(&mut self, module: Module, warnings: &mut Vec<String>) -> Result<(), CreateError> {
        if module.kind != self.kind {
            return Err(CreateError::Invalid(format!(
                "{} {} is among the {}s of the builder",
                module.kind,
                module.label(),
                self.kind
            )));
        }
        let name = module.label();
        match self.infos.iter().position(|it| it.label() == name) {
            Some(at) => self.infos[at] = module.info.clone(),
            None => self.infos.push(module.info.clone()),
        }
        if let Some(before) = self.new.get(&name)
            && !checks::are_same(before, &module).map_err(Box::new)?
        {
            warnings.push(format!(
                "{} {name} is there twice with different contents: the one in {} is taken",
                self.kind,
                module.dir.display()
            ));
        }
        self.new.insert(name, module);
        Ok(())
    }

    /// Returns a reference with the version that it means.
    fn resolve(&self, reference: &ModuleRef) -> Result<ModuleRef, CreateError> {
        let (kind, id) = (self.kind, &reference.id);
        let infos = self.infos.iter().filter(|it| it.id == *id);
        let versions: Vec<_> = infos.map(|it| &it.version).collect();
        let problem = match (versions.as_slice(), reference.version.as_str()) {
            ([], _) => format!("no versions of {kind} {id} were found on the builder"),
            ([only], "") => {
                return Ok(ModuleRef {
                    version: (*only).clone(),
                    ..reference.clone()
                });
            }
            (_, "") => format!(
                "unable to resolve version: multiple versions of {id} - must specify an explicit version"
            ),
            (all, wanted) if all.iter().any(|it| *it == wanted) => return Ok(reference.clone()),
            (_, wanted) => {
                format!("{kind} {id} with version {wanted} was not found on the builder")
            }
        };
        Err(CreateError::Invalid(problem))
    }
}

fn check(
    base: &Base,
    lifecycle: &Descriptor,
    buildpacks: &Modules,
    extensions: &Modules,
) -> Result<(), CreateError> {
    for module in buildpacks.new.values().chain(extensions.new.values()) {
        checks::lifecycle_knows(module, lifecycle)?;
    }
    for module in buildpacks.new.values() {
        if module.is_composite() {
            checks::order_is_there(module, &buildpacks.infos)?;
        } else {
            checks::base_serves(module, base)?;
        }
    }
    Ok(())
}

fn resolved<'a, G>(groups: &'a [G], modules: &Modules) -> Result<Vec<Group>, CreateError>
where
    Group: From<&'a G>,
{
    let resolve = |group: Group| {
        let elements = group.group.iter().map(|it| modules.resolve(it));
        Ok(Group {
            group: elements.collect::<Result<_, _>>()?,
        })
    };
    groups.iter().map(Group::from).map(resolve).collect()
}

fn resolved_system(system: &System, modules: &Modules) -> Result<System, CreateError> {
    let mut resolved = system.clone();
    for side in [&mut resolved.pre, &mut resolved.post] {
        for reference in &mut side.buildpacks {
            *reference = modules.resolve(reference)?;
        }
    }
    Ok(resolved)
}

/// Why a builder could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A label or variable of the build image is not what it should be.
    #[error(transparent)]
    Base(#[from] Error),
    /// builder.toml is not what it should be.
    #[error("{} is no builder configuration: {problem}", path.display())]
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
    /// The lifecycle could not be used.
    #[error(transparent)]
    Lifecycle(#[from] Box<lifecycle::Error>),
    /// A module could not be opened.
    #[error(transparent)]
    Open(#[from] Box<package::Error>),
    /// A file of the builder could not be written.
    #[error("failed to write {0}")]
    Toml(&'static str, #[source] buildpack::encode::Error),
}

#[cfg(test)]
mod tests;
