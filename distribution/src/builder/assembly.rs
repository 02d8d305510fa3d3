//! The layers of a builder, one after the other.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use buildpack::encode;
use fs_err as fs;
use layout::config::CREATED;
use layout::draft::Draft;
use layout::editor::{CommitOptions, Committed};
use layout::layer::{Entry, EntryKind, Layer, WriteOptions, Written};
use layout::{DiffId, History, Image, ImageEditor};
use serde::Serialize;

use super::create::CreateError;
use super::metadata::RunImage;
use crate::archive;
use crate::labels::{Group, Layers, System};
use crate::lifecycle::Lifecycle;
use crate::module::{Module, directory};

/// Folders of root's that every builder has (DST-017).
const FOLDERS: [&str; 7] = [
    "/cnb",
    "/cnb/buildpacks",
    "/cnb/extensions",
    "/platform",
    "/platform/env",
    "/cnb/build-config",
    "/cnb/build-config/env",
];

/// A builder being made.
pub(super) struct Assembly {
    pub(super) editor: ImageEditor,
    draft: Box<dyn Draft>,
    /// Holds the texts that become files.
    texts: PathBuf,
}

impl Assembly {
    pub(super) fn begin(
        base: &Image,
        draft: Box<dyn Draft>,
        scratch: &Path,
    ) -> Result<Self, CreateError> {
        Ok(Self {
            editor: ImageEditor::from_base(base),
            draft,
            texts: archive::new_folder(scratch)?,
        })
    }

    pub(super) fn folders(&mut self, uid: u32, gid: u32) -> Result<(), CreateError> {
        let owned = ["/workspace", "/layers"].map(|name| Entry {
            uid,
            gid,
            ..directory(Path::new(name))
        });
        let of_root = FOLDERS.map(|name| directory(Path::new(name)));
        self.append("folders", owned.into_iter().chain(of_root).collect())
    }

    /// DST-018
    pub(super) fn lifecycle(&mut self, lifecycle: &Lifecycle) -> Result<(), CreateError> {
        let mut entries = lifecycle.entries(Path::new("/cnb/lifecycle"));
        entries.push(Entry {
            mode: 0o777,
            kind: EntryKind::Symlink {
                target: "/cnb/lifecycle".into(),
            },
            ..directory(Path::new("/lifecycle"))
        });
        self.append(&format!("lifecycle {}", lifecycle.version()), entries)
    }

    /// Adds what the base does not have already, and returns the label of all.
    pub(super) fn modules(
        &mut self,
        modules: &BTreeMap<String, Module>,
        mut layers: Layers,
    ) -> Result<Layers, CreateError> {
        for (name, module) in modules {
            let entries = module.entries().map_err(Box::new)?;
            let layer = Layer { entries };
            let versions = layers.entry(module.info.id.clone()).or_default();
            if let Some(there) = versions.get(&module.info.version) {
                if layer.diff_id().map_err(Box::new)? == there.layer_diff_id {
                    continue;
                }
                self.hide(module)?;
            }
            let written = self.write(&layer)?;
            let what = format!("{} {name}", module.kind);
            self.editor.append(&written, history(&what));
            let diff_id: DiffId = written.diff_id;
            versions.insert(module.info.version.clone(), module.layer_info(diff_id));
        }
        Ok(layers)
    }

    /// Hides a module of the base; in a layer of its own, because tools differ on what is beside a whiteout.
    fn hide(&mut self, module: &Module) -> Result<(), CreateError> {
        let place = module.path_in_image();
        let place = place.with_file_name(format!(".wh.{}", module.info.version));
        let entry = self.file(&place, "")?;
        self.append(
            &format!("{} {} of the base goes", module.kind, module.label()),
            vec![entry],
        )
    }

    /// DST-014
    pub(super) fn order(
        &mut self,
        order: &[Group],
        extensions: &[Group],
    ) -> Result<(), CreateError> {
        #[derive(Serialize)]
        struct File<'a> {
            order: &'a [Group],
            #[serde(rename = "order-extensions", skip_serializing_if = "<[_]>::is_empty")]
            extensions: &'a [Group],
        }
        self.toml("/cnb/order.toml", &File { order, extensions })
    }

    /// DST-016
    pub(super) fn system(&mut self, system: &System) -> Result<(), CreateError> {
        #[derive(Serialize)]
        struct File<'a> {
            system: &'a System,
        }
        self.toml("/cnb/system.toml", &File { system })
    }

    /// DST-015: once for each way in which Platform APIs have it.
    pub(super) fn run_images(&mut self, images: &[RunImage]) -> Result<(), CreateError> {
        #[derive(Serialize)]
        struct Stack<'a> {
            #[serde(rename = "run-image")]
            run_image: Option<&'a RunImage>,
        }
        #[derive(Serialize)]
        struct Run<'a> {
            images: &'a [RunImage],
        }
        let run_image = images.first();
        self.toml("/cnb/stack.toml", &Stack { run_image })?;
        self.toml("/cnb/run.toml", &Run { images })
    }

    pub(super) fn environment(
        &mut self,
        files: &BTreeMap<String, &str>,
    ) -> Result<(), CreateError> {
        let folder = Path::new("/cnb/build-config/env");
        let entries = files
            .iter()
            .map(|(name, value)| self.file(&folder.join(name), value));
        let entries = entries.collect::<Result<_, _>>()?;
        self.append("variables of builds", entries)
    }

    pub(super) fn commit(self, options: &CommitOptions) -> Result<Committed, CreateError> {
        let committed = self.editor.commit(self.draft, options);
        fs::remove_dir_all(self.texts)?;
        Ok(committed.map_err(Box::new)?)
    }

    fn toml(&mut self, name: &'static str, value: &impl Serialize) -> Result<(), CreateError> {
        let text = encode::to_string(value).map_err(|e| CreateError::Toml(name, e))?;
        let entry = self.file(Path::new(name), &text)?;
        self.append(name, vec![entry])
    }

    /// Returns the entry of a file of root's.
    fn file(&self, name: &Path, text: &str) -> Result<Entry, CreateError> {
        let mut source = tempfile::NamedTempFile::new_in(&self.texts)?;
        io::Write::write_all(&mut source, text.as_bytes())?;
        let (_, source) = source.keep().map_err(|e| e.error)?;
        Ok(Entry {
            mode: 0o644,
            kind: EntryKind::File {
                source: source.into(),
                size: text.len() as u64,
            },
            ..directory(name)
        })
    }

    fn append(&mut self, what: &str, entries: Vec<Entry>) -> Result<(), CreateError> {
        let written = self.write(&Layer { entries })?;
        self.editor.append(&written, history(what));
        Ok(())
    }

    fn write(&mut self, layer: &Layer) -> Result<Written, CreateError> {
        let written = self
            .draft
            .write_layer(layer, &WriteOptions::default(), None);
        Ok(written.map_err(Box::new)?)
    }
}

fn history(what: &str) -> History {
    History {
        created: Some(CREATED.to_owned()),
        created_by: format!("builder: {what}"),
        ..History::default()
    }
}
