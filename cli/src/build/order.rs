//! Which buildpacks a build tries: the builder's order, or one of the user's own, with modules that the builder lacks.
//!
//! Nothing is added to the builder for it: folders of modules are bound to their places in `/cnb/buildpacks`, and a file
//! of the build's own to `/cnb/order.toml`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use distribution::builder::Builder;
use distribution::labels::{Group, ModuleRef};
use distribution::module::{Kind, Module};
use distribution::package::{self, Images, Location, Sources, split_id};
use project::descriptor::{self, Script};
use sandbox::Mount;
use semver::Version;
use serde::Serialize;

use crate::containers::read_only;

/// What to try, and what has to be brought along.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Groups of buildpacks; the builder's if nobody asked for others.
    groups: Vec<Group>,
    /// Groups of image extensions.
    extensions: Vec<Group>,
    /// True if the builder's own order will not do.
    is_own: bool,
    /// Modules that the builder does not have, or has with other content.
    modules: Vec<Module>,
}

/// What the user said of buildpacks; entries of flags are locations, those of project.toml may also be scripts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// Instead of the builder's order.
    pub(crate) buildpacks: Vec<Wish>,
    /// In front of every group.
    pub(crate) pre: Vec<Wish>,
    /// Behind every group.
    pub(crate) post: Vec<Wish>,
    /// Instead of the builder's order of extensions.
    pub(crate) extensions: Vec<Wish>,
}

/// One buildpack or extension that the user asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wish {
    /// A location in pack's words, relative to this folder.
    At(String, PathBuf),
    /// One that is written in project.toml.
    Script {
        /// Its id.
        id: String,
        /// Its version.
        version: String,
        /// What it does.
        script: Script,
    },
}

impl Wish {
    /// Understands an entry of project.toml, which lies in `folder`.
    pub(crate) fn of_descriptor(module: &descriptor::Module, folder: &Path) -> Self {
        if let Some(script) = &module.script {
            return Self::Script {
                id: module.id.clone(),
                version: module.version.clone(),
                script: script.clone(),
            };
        }
        let location = match (&module.uri, module.version.as_str()) {
            (Some(uri), _) => uri.clone(),
            // In the builder, as PRJ-007 has it where no uri is given.
            (None, "") => format!("urn:cnb:builder:{}", module.id),
            (None, version) => format!("urn:cnb:builder:{}@{version}", module.id),
        };
        Self::At(location, folder.to_owned())
    }
}

impl Order {
    /// Works out what to try; modules are unpacked below `scratch`, and come from `images` where they are some.
    pub(crate) fn new(
        wishes: &Wishes,
        builder: &Builder,
        scratch: &Path,
        images: &dyn Images,
    ) -> anyhow::Result<Self> {
        let mut order = Self::default();
        let mut resolve = Resolve {
            builder,
            scratch,
            images,
            modules: &mut order.modules,
        };
        let mut groups = match wishes.buildpacks.as_slice() {
            [] => builder.order.clone(),
            wishes => resolve.groups(wishes, Kind::Buildpack)?,
        };
        let pre = resolve.elements(&wishes.pre, Kind::Buildpack)?;
        let post = resolve.elements(&wishes.post, Kind::Buildpack)?;
        for group in &mut groups {
            group.group.splice(0..0, pre.iter().cloned());
            group.group.extend(post.iter().cloned());
        }
        order.extensions = match wishes.extensions.as_slice() {
            [] => builder.order_extensions.clone(),
            wishes => resolve.groups(wishes, Kind::Extension)?,
        };
        order.is_own = groups != builder.order || order.extensions != builder.order_extensions;
        order.groups = groups;
        Ok(order)
    }

    /// Returns whether image extensions take part.
    pub(crate) fn has_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// Returns whether there are modules that the builder does not have.
    pub(crate) fn brings_modules(&self) -> bool {
        !self.modules.is_empty()
    }

    /// Writes an order of the build's own below `config`, and returns what has to be mounted.
    pub(crate) fn mounts(&self, config: &Path) -> anyhow::Result<Vec<Mount>> {
        let modules = self.modules.iter();
        let mut mounts: Vec<_> = modules
            .map(|module| read_only(&module.dir, &module.path_in_image()))
            .collect();
        if self.is_own {
            let path = config.join("order.toml");
            let file = OrderFile {
                order: &self.groups,
                order_extensions: &self.extensions,
            };
            buildpack::encode::to_file(&path, &file).context("failed to write the order")?;
            mounts.push(read_only(&path, Path::new("/cnb/order.toml")));
        }
        Ok(mounts)
    }
}

/// `order.toml`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct OrderFile<'a> {
    order: &'a [Group],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    order_extensions: &'a [Group],
}

struct Resolve<'a> {
    builder: &'a Builder,
    scratch: &'a Path,
    images: &'a dyn Images,
    modules: &'a mut Vec<Module>,
}

impl Resolve<'_> {
    /// Returns the groups that an order of these wishes has: one, unless `from=builder` brings the builder's.
    fn groups(&mut self, wishes: &[Wish], kind: Kind) -> anyhow::Result<Vec<Group>> {
        let mut groups = vec![Group::default()];
        for wish in wishes {
            if is_whole_builder(wish) {
                let order = match kind {
                    Kind::Buildpack => &self.builder.order,
                    Kind::Extension => &self.builder.order_extensions,
                };
                let mut longer = Vec::new();
                for group in &groups {
                    longer.extend(order.iter().map(|more| Group {
                        group: [group.group.clone(), more.group.clone()].concat(),
                    }));
                }
                groups = longer;
                continue;
            }
            let element = self.element(wish, kind)?;
            for group in &mut groups {
                group.group.push(element.clone());
            }
        }
        Ok(groups)
    }

    fn elements(&mut self, wishes: &[Wish], kind: Kind) -> anyhow::Result<Vec<ModuleRef>> {
        let mut elements = Vec::new();
        for wish in wishes {
            if is_whole_builder(wish) {
                bail!(
                    "'from=builder' is the whole order, which cannot stand before or behind itself\nname one buildpack of the builder: urn:cnb:builder:ID"
                );
            }
            elements.push(self.element(wish, kind)?);
        }
        Ok(elements)
    }

    fn element(&mut self, wish: &Wish, kind: Kind) -> anyhow::Result<ModuleRef> {
        let (location, folder) = match wish {
            Wish::At(location, folder) => (location, folder),
            Wish::Script {
                id,
                version,
                script,
            } => return self.script(id, version, script),
        };
        let named = match Location::parse(location, folder) {
            Location::Builder {
                module: Some((id, version)),
            } => Some((id, version)),
            // `ID@VERSION` alone, if the builder has it.
            Location::Named(name) => {
                let (id, version) = split_id(&name);
                let found = self.find(kind, id, version).ok();
                found.map(|version| (id.to_owned(), Some(version)))
            }
            _ => None,
        };
        if let Some((id, version)) = named {
            let version = self.find(kind, &id, version.as_deref())?;
            return Ok(reference(&id, &version));
        }
        let sources = Sources {
            relative_to: folder,
            scratch: self.scratch,
            images: self.images,
        };
        let package = package::open(location, sources)
            .with_context(|| format!("failed to open {kind} {location:?}"))?;
        let Some(entry) = package.entry_module() else {
            bail!("{location:?} does not say which of its modules is the main one");
        };
        if entry.kind != kind {
            bail!(
                "{location:?} is an image {}, where a {kind} is asked for",
                entry.kind
            );
        }
        let element = reference(&entry.info.id, &entry.info.version);
        for module in package.modules {
            let same = |it: &Module| it.kind == module.kind && it.label() == module.label();
            self.modules.retain(|it| !same(it));
            self.modules.push(module);
        }
        Ok(element)
    }

    /// Returns the version of a module in the builder: the newest where none is asked for (PRJ-007).
    fn find(&self, kind: Kind, id: &str, version: Option<&str>) -> anyhow::Result<String> {
        let layers = match kind {
            Kind::Buildpack => &self.builder.buildpack_layers,
            Kind::Extension => &self.builder.extension_layers,
        };
        let Some(versions) = layers.get(id) else {
            let all: Vec<_> = layers.keys().map(String::as_str).collect();
            bail!(
                "the builder has no {kind} {id:?}; it has: {}",
                all.join(", ")
            );
        };
        let all: Vec<_> = versions.keys().map(String::as_str).collect();
        let found = match version {
            Some(version) => versions.contains_key(version).then_some(version),
            None => newest(&all),
        };
        match found {
            Some(version) => Ok(version.to_owned()),
            None => bail!(
                "the builder has {kind} {id:?} in other versions: {}\nname one of them: {id}@{}",
                all.join(", "),
                all.first().unwrap_or(&"VERSION")
            ),
        }
    }

    /// Writes an inline buildpack: it always takes part, and runs the text with its shell (PRJ-007).
    fn script(&mut self, id: &str, version: &str, script: &Script) -> anyhow::Result<ModuleRef> {
        let dir = self.scratch.join(format!("script-{}", self.modules.len()));
        let bin = dir.join("bin");
        fs_err::create_dir_all(&bin)?;
        let descriptor = ScriptFile {
            api: &script.api,
            buildpack: ScriptInfo { id, version },
            targets: vec![ScriptTarget { os: "linux" }],
            stacks: vec![ScriptStack { id: "*" }],
        };
        buildpack::encode::to_file(&dir.join("buildpack.toml"), &descriptor)
            .with_context(|| format!("failed to write buildpack {id:?} of project.toml"))?;
        for (name, text) in [
            ("detect", "#!/bin/sh\nexit 0\n".to_owned()),
            (
                "build",
                format!("#!{}\n\n{}\n", script.shell, script.inline),
            ),
        ] {
            let path = bin.join(name);
            fs_err::write(&path, text)?;
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        let module = Module::read(&dir, Kind::Buildpack)
            .with_context(|| format!("buildpack {id:?} of project.toml makes no sense"))?;
        let element = reference(&module.info.id, &module.info.version);
        self.modules.push(module);
        Ok(element)
    }
}

/// `buildpack.toml` of an inline buildpack.
#[derive(Serialize)]
struct ScriptFile<'a> {
    api: &'a str,
    buildpack: ScriptInfo<'a>,
    targets: Vec<ScriptTarget<'a>>,
    stacks: Vec<ScriptStack<'a>>,
}

#[derive(Serialize)]
struct ScriptInfo<'a> {
    id: &'a str,
    version: &'a str,
}

#[derive(Serialize)]
struct ScriptTarget<'a> {
    os: &'a str,
}

#[derive(Serialize)]
struct ScriptStack<'a> {
    id: &'a str,
}

/// Returns the newest of some versions; nothing if there are several that have no order.
fn newest<'a>(versions: &[&'a str]) -> Option<&'a str> {
    if let [only] = versions {
        return Some(only);
    }
    let parsed = versions
        .iter()
        .map(|it| Some((Version::parse(it).ok()?, *it)));
    let parsed: Vec<_> = parsed.collect::<Option<_>>()?;
    parsed.into_iter().max().map(|(_, version)| version)
}

fn is_whole_builder(wish: &Wish) -> bool {
    matches!(wish, Wish::At(location, _) if location == "from=builder")
}

fn reference(id: &str, version: &str) -> ModuleRef {
    ModuleRef {
        id: id.to_owned(),
        version: version.to_owned(),
        ..ModuleRef::default()
    }
}

#[cfg(test)]
mod tests;
