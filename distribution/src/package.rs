//! Buildpackages (DST-001 to DST-008): from wherever one may be to folders of modules, and from folders to one.
//!
//! Images by their names come from whoever opens packages ([`Images`]): nothing here knows registries.

mod create;
mod location;
mod stacks;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use layout::layer::{self, Extract};
use layout::{DiffId, Image, Layout, Reference, Selector, blob, store};
use serde::Deserialize;

pub use create::{
    Config, CreateError, Creation, Dependency, OldPlatform, TargetConfig, Uri, create, create_file,
};
pub use location::{Location, split_id};

use self::location::is_registry_id;
use crate::archive;
use crate::labels::{self, Layers};
use crate::module::{self, Kind, Module};

/// Modules that came together.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Id and version of the module that the others are there for; none if a layout's labels name none.
    pub entry: Option<(String, String)>,
    /// The entry first, then by kind, id and version.
    pub modules: Vec<Module>,
}

impl Package {
    /// Returns the stacks that all of its buildpacks run on; `*` where they declare targets.
    pub fn stacks(&self) -> Vec<labels::Stack> {
        stacks::common(&self.modules)
    }

    /// Returns the module that the others are there for.
    pub fn entry_module(&self) -> Option<&Module> {
        let (id, version) = self.entry.as_ref()?;
        let mut modules = self.modules.iter();
        modules.find(|it| it.info.id == *id && it.info.version == *version)
    }
}

/// Where packages are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// Where relative paths are from.
    pub relative_to: &'a Path,
    /// Where archives and layers may be unpacked.
    pub scratch: &'a Path,
    /// Images by their names.
    pub images: &'a dyn Images,
}

/// Images by their names, wherever they are and whenever they are fetched.
pub trait Images: fmt::Debug {
    /// Returns whether an image of this name is on this machine.
    fn is_here(&self, name: &str) -> bool;

    /// Opens the image of this name; the error says where it was looked for, and what to do.
    fn open(&self, name: &str) -> anyhow::Result<Image>;
}

/// Opens what `location` names: a folder with a descriptor, a tar of one, a `.cnb` file, an image layout (`oci:` or its
/// folder), a `file:` URI of any of them; or an image by its name.
///
/// What has to be unpacked is unpacked below `scratch`, safely: nothing that an archive or a label says leads elsewhere.
pub fn open(location: &str, sources: Sources<'_>) -> Result<Package, Error> {
    let scratch = sources.scratch;
    let unsupported = |problem| Error::Unsupported {
        location: location.to_owned(),
        problem,
    };
    match Location::parse(location, sources.relative_to) {
        Location::Builder { .. } => Err(unsupported(
            "it names what is in the builder, and here is none\nname a folder or file, such as ./my-buildpack",
        )),
        Location::Image(name) => open_image(&name, sources),
        Location::Layout(path, selector) => open_layout(&path, &selector, scratch),
        Location::Named(name) if sources.images.is_here(&name) => open_image(&name, sources),
        // pack asks the buildpack registry for it. Whoever has that name among images may be somebody else.
        Location::Named(name) if is_registry_id(&name) => Err(unsupported(
            "no file, folder or image of that name is here, and buildpack registries, where pack looks for such a name, are not supported yet\nname an image with its registry, such as docker.io/acme/java, or put docker:// in front of it",
        )),
        Location::Named(name) if Reference::parse(&name).is_ok() => open_image(&name, sources),
        Location::Named(_) => Err(unsupported(
            "there is no such file or folder, and it is no name of an image\nname a folder or file, such as ./my-buildpack or my-buildpack.cnb, an image layout, such as oci:my-buildpack, or an image, such as docker://acme/java",
        )),
        Location::Path(path) if path.is_dir() => open_dir(&path, scratch),
        Location::Path(path) => open_file(&path, scratch),
        Location::Registry(_) => Err(unsupported(
            "buildpack registries are not supported yet\nname the buildpack's image, such as docker://acme/java, or its image layout, folder or file",
        )),
        Location::Url(_) => Err(unsupported(
            "nothing is downloaded from here yet\ndownload it, and name the file",
        )),
    }
}

fn open_dir(path: &Path, scratch: &Path) -> Result<Package, Error> {
    if path.join("index.json").exists() {
        return open_layout(path, &Selector::default(), scratch);
    }
    match Module::find(path).map_err(Box::new)? {
        Some(module) => Ok(module.into()),
        None => Err(Error::Nothing(path.to_owned())),
    }
}

fn open_file(path: &Path, scratch: &Path) -> Result<Package, Error> {
    let folder = archive::new_folder(scratch)?;
    archive::unpack(path, &folder).map_err(Box::new)?;
    match open_dir(&folder, scratch) {
        Err(Error::Nothing(_)) => Err(Error::Nothing(path.to_owned())),
        package => package,
    }
}

fn open_layout(path: &Path, selector: &Selector, scratch: &Path) -> Result<Package, Error> {
    let image = Layout::at(path).image(selector).map_err(Box::new)?;
    let image = image.ok_or_else(|| Error::NoLayout(path.to_owned()))?;
    from_image(&image, scratch)
}

fn open_image(name: &str, sources: Sources<'_>) -> Result<Package, Error> {
    let image = sources.images.open(name).map_err(Error::Image)?;
    from_image(&image, sources.scratch)
}

/// Opens the package that an image is, unpacking its layers below `scratch`.
pub fn from_image(image: &Image, scratch: &Path) -> Result<Package, Error> {
    let package = Labels::read(image)?;
    let root = archive::new_folder(scratch)?;
    let mut unpacked = BTreeSet::new();
    let mut modules = Vec::new();
    for (kind, id, version, diff_id) in package.modules() {
        // Modules of a flattened package share a layer (DST-003).
        if unpacked.insert(diff_id.to_string()) {
            unpack_layer(image, diff_id, &root)?;
        }
        modules.push(module_in(image, &root, kind, id, version)?);
    }
    let is_entry = |it: &Module| match &package.entry {
        Some((id, version)) => it.info.id == *id && it.info.version == *version,
        None => false,
    };
    // DST-006
    if let Some((id, version)) = &package.entry
        && !modules.iter().any(is_entry)
    {
        return Err(damaged(
            image,
            format!("its entry {id}@{version} is not among its modules"),
        ));
    }
    modules.sort_by_key(|it| !is_entry(it));
    Ok(Package {
        entry: package.entry,
        modules,
    })
}

impl From<Module> for Package {
    fn from(module: Module) -> Self {
        Self {
            entry: Some((module.info.id.clone(), module.info.version.clone())),
            modules: vec![module],
        }
    }
}

/// The labels of a package.
struct Labels {
    entry: Option<(String, String)>,
    buildpacks: Layers,
    extensions: Layers,
}

impl Labels {
    fn read(image: &Image) -> Result<Self, Error> {
        let buildpacks: Layers = label(image, labels::BUILDPACK_LAYERS)?.unwrap_or_default();
        let extensions: Layers = label(image, labels::EXTENSION_LAYERS)?.unwrap_or_default();
        if buildpacks.is_empty() && extensions.is_empty() {
            return Err(Error::NoPackage(image.blobs().location()));
        }
        let mut entry: Option<Entry> = None;
        for name in [
            labels::PACKAGE_METADATA,
            labels::DRAFT_BUILDPACK_METADATA,
            labels::DRAFT_EXTENSION_METADATA,
        ] {
            entry = entry.or(label(image, name)?);
        }
        Ok(Self {
            entry: entry.map(|it| (it.id, it.version)),
            buildpacks,
            extensions,
        })
    }

    fn modules(&self) -> impl Iterator<Item = (Kind, &str, &str, &DiffId)> {
        let kinds = [
            (Kind::Buildpack, &self.buildpacks),
            (Kind::Extension, &self.extensions),
        ];
        kinds.into_iter().flat_map(|(kind, layers)| {
            layers.iter().flat_map(move |(id, versions)| {
                let versions = versions.iter();
                versions.map(move |(version, info)| {
                    (kind, id.as_str(), version.as_str(), &info.layer_diff_id)
                })
            })
        })
    }
}

/// What of the entry's label is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    id: String,
    version: String,
}

fn label<T: serde::de::DeserializeOwned + Default>(
    image: &Image,
    name: &'static str,
) -> Result<Option<T>, Error> {
    let Some(text) = image.label(name) else {
        return Ok(None);
    };
    let parsed = labels::parse(text).map_err(|source| Error::Label {
        label: name,
        location: image.blobs().location(),
        source,
    })?;
    Ok(Some(parsed))
}

/// Unpacks one layer; all of it must be below `/cnb`.
pub(crate) fn unpack_layer(image: &Image, diff_id: &DiffId, root: &Path) -> Result<(), Error> {
    let unpack = |source| Error::Layer {
        diff_id: diff_id.to_string(),
        location: image.blobs().location(),
        source: Box::new(source),
    };
    if image.layer(diff_id).is_none() {
        return Err(damaged(image, format!("it has no layer {diff_id}")));
    }
    let tar = image.open_layer(diff_id);
    let tar = tar.map_err(|e| Error::Blob(Box::new(e)))?;
    let mut tar =
        tar.ok_or_else(|| damaged(image, format!("the blob of its layer {diff_id} is missing")))?;
    let place = Extract {
        root,
        within: &root.join("cnb"),
    };
    layer::extract(&mut tar, &place).map_err(unpack)
}

fn module_in(
    image: &Image,
    root: &Path,
    kind: Kind,
    id: &str,
    version: &str,
) -> Result<Module, Error> {
    let info = labels::ModuleInfo {
        id: id.to_owned(),
        version: version.to_owned(),
        ..labels::ModuleInfo::default()
    };
    module::check_names(kind, &info).map_err(|problem| damaged(image, problem))?;
    let place = module::path_in_image(kind, id, version);
    let mut dir = root.to_owned();
    for part in place.components().skip(1) {
        dir.push(part);
        // A layer may have put a link there, to anywhere.
        if !fs_err::symlink_metadata(&dir).is_ok_and(|it| it.is_dir()) {
            let problem = format!("{} is no folder of its layer", place.display());
            return Err(damaged(image, problem));
        }
    }
    if !fs_err::symlink_metadata(dir.join(kind.file())).is_ok_and(|it| it.is_file()) {
        let problem = format!(
            "{} is no file of its layer",
            place.join(kind.file()).display()
        );
        return Err(damaged(image, problem));
    }
    let module = Module::read(&dir, kind).map_err(Box::new)?;
    if (module.info.id.as_str(), module.info.version.as_str()) != (id, version) {
        let problem = format!("{} in its layer is {}", info.label(), module.label());
        return Err(damaged(image, problem));
    }
    Ok(module)
}

fn damaged(image: &Image, problem: String) -> Error {
    Error::Damaged {
        location: image.blobs().location(),
        problem,
    }
}

/// Why a package could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tar could not be unpacked.
    #[error(transparent)]
    Archive(#[from] Box<archive::Error>),
    /// A blob could not be read.
    #[error(transparent)]
    Blob(Box<blob::Error>),
    /// Its labels and layers do not belong together.
    #[error("the package in {location} is damaged: {problem}")]
    Damaged {
        /// Where it is.
        location: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An image could not be had by its name.
    #[error("{0:#}")]
    Image(anyhow::Error),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A label is not what it should be.
    #[error("failed to read label {label} of the image in {location}")]
    Label {
        /// The label.
        label: &'static str,
        /// Where the image is.
        location: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A layer could not be unpacked.
    #[error("failed to unpack layer {diff_id} of the package in {location}")]
    Layer {
        /// The layer.
        diff_id: String,
        /// Where the package is.
        location: String,
        /// Why not.
        source: Box<layer::Error>,
    },
    /// A layout could not be read.
    #[error(transparent)]
    Layout(#[from] Box<store::Error>),
    /// A descriptor could not be read.
    #[error(transparent)]
    Module(#[from] Box<module::Error>),
    /// There is no layout.
    #[error("{} is no image layout: it has no index.json", .0.display())]
    NoLayout(PathBuf),
    /// The image is none.
    #[error(
        "the image in {0} is no buildpackage: it has neither the label io.buildpacks.buildpack.layers nor io.buildpacks.extension.layers"
    )]
    NoPackage(String),
    /// A folder or tar is something else.
    #[error(
        "{} is no buildpack: there is no buildpack.toml, extension.toml or index.json at its top", .0.display()
    )]
    Nothing(PathBuf),
    /// It is somewhere where this program does not look.
    #[error("cannot get {location}: {problem}")]
    Unsupported {
        /// As it was given.
        location: String,
        /// Why not, and what to do.
        problem: &'static str,
    },
}

#[cfg(test)]
mod tests;
