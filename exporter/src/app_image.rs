//! The image that is being made: each layer is added, or taken from the previous image (EXP-012, EXP-015).
//!
//! ```text
//! previous diffID known ─► hash ─► equal: take the old layer over, compress nothing
//!                            │
//! nothing known ─────────────┴──► one pass: tar ─► sha256, compression ─► blob
//!                                            └──► the build cache, where it keeps the layer too
//! ```

use std::io;

use anyhow::{Context as _, ensure};
use layout::layer::{self, Layer, Tee, WriteOptions};
use layout::{DiffId, Draft, History, Image, ImageEditor};

use crate::ahead::Walked;
use crate::cached_layers::{Filling, Tap};
use crate::launch_cache::LaunchCache;

/// An image on its way into a store. Dropped, it leaves the store as it was.
#[derive(Debug)]
pub(crate) struct AppImage<'a> {
    pub(crate) editor: ImageEditor,
    pub(crate) draft: Box<dyn Draft>,
    previous: Option<&'a Image>,
    options: WriteOptions,
    pub(crate) launch_cache: Option<LaunchCache>,
}

/// How a layer came into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Written.
    New(DiffId),
    /// Taken from the previous image.
    Reused(DiffId),
}

impl Added {
    pub(crate) fn diff_id(&self) -> &DiffId {
        match self {
            Self::New(diff_id) | Self::Reused(diff_id) => diff_id,
        }
    }
}

/// A layer that the build cache keeps as well.
#[derive(Debug)]
pub(crate) struct AlsoCached<'a> {
    pub(crate) filling: &'a mut Filling,
    pub(crate) buildpack_id: &'a str,
    pub(crate) layer_name: &'a str,
}

impl<'a> AppImage<'a> {
    pub(crate) fn new(
        editor: ImageEditor,
        draft: Box<dyn Draft>,
        previous: Option<&'a Image>,
        options: WriteOptions,
        launch_cache: Option<LaunchCache>,
    ) -> Self {
        Self {
            editor,
            draft,
            previous,
            options,
            launch_cache,
        }
    }

    /// Adds a layer that has an id in logs; `before` is its diffID in the previous image, if it had one.
    pub(crate) fn add(
        &mut self,
        id: &str,
        created_by: &str,
        walked: &Walked,
        before: Option<&str>,
        cached: Option<AlsoCached<'_>>,
    ) -> anyhow::Result<DiffId> {
        let known: Vec<&str> = before.into_iter().collect();
        let added = self
            .add_quietly(created_by, walked, &known, cached)
            .with_context(|| format!("creating layer '{id}'"))?;
        tracing::debug!(
            "Reusing tarball for layer {id:?} with SHA: {}",
            added.diff_id()
        );
        match &added {
            Added::New(_) => tracing::info!("Adding layer '{id}'"),
            Added::Reused(_) => tracing::info!("Reusing layer '{id}'"),
        }
        tracing::debug!("Layer '{id}' SHA: {}", added.diff_id());
        Ok(added.diff_id().clone())
    }

    /// Adds a layer; it is taken from the previous image if its diffID is among `known`.
    pub(crate) fn add_quietly(
        &mut self,
        created_by: &str,
        walked: &Walked,
        known: &[&str],
        cached: Option<AlsoCached<'_>>,
    ) -> anyhow::Result<Added> {
        let layer = &walked.layer;
        let hopeful = self.is_hopeful(known);
        let in_cache = cached.as_ref().is_some_and(AlsoCached::is_known);
        let diff_id = match &walked.diff_id {
            Some(diff_id) => Some(diff_id.clone()),
            None if hopeful || in_cache => Some(layer.diff_id()?),
            None => None,
        };
        let mut tap = cached.map(|cached| cached.tap(diff_id.as_ref()));
        let reusable = diff_id.filter(|diff_id| hopeful && known.contains(&&*diff_id.to_string()));
        let Some(diff_id) = reusable else {
            let diff_id = self.write(created_by, layer, tap.as_mut())?;
            if let Some(tap) = tap {
                tap.finish(&diff_id);
            }
            return Ok(Added::New(diff_id));
        };
        let previous = self.previous_with(&diff_id)?;
        self.editor.reuse(previous, &diff_id, history(created_by))?;
        if let Some(launch_cache) = &mut self.launch_cache {
            launch_cache.keep(&diff_id, |staged| {
                let copied = layer::diff_id_with_tee(layer, Some(staged))?;
                ensure!(copied == diff_id, "it changed while it was copied");
                Ok(())
            });
        }
        if let Some(mut tap) = tap {
            // A copy is named by what was copied: files may have changed since they were hashed.
            let tee = tap.tee();
            let copied = tee.map(|tee| layer::diff_id_with_tee(layer, Some(tee)));
            tap.finish(copied.transpose()?.as_ref().unwrap_or(&diff_id));
        }
        Ok(Added::Reused(diff_id))
    }

    /// Returns whether a layer with these diffIDs in the previous image may be taken from it.
    pub(crate) fn is_hopeful(&self, known: &[&str]) -> bool {
        self.previous.is_some() && !known.is_empty()
    }

    /// Takes a layer from the previous image by its diffID.
    pub(crate) fn reuse(&mut self, created_by: &str, diff_id: &DiffId) -> anyhow::Result<()> {
        let previous = self.previous_with(diff_id)?;
        self.editor.reuse(previous, diff_id, history(created_by))?;
        if let Some(launch_cache) = &mut self.launch_cache {
            launch_cache.keep(diff_id, |out| {
                let tar = previous.open_layer(diff_id)?;
                io::copy(&mut tar.context("it is not there")?, out)?;
                Ok(())
            });
        }
        Ok(())
    }

    fn previous_with(&self, diff_id: &DiffId) -> anyhow::Result<&'a Image> {
        self.previous
            .with_context(|| format!("there is no previous image to take layer {diff_id} from"))
    }

    fn write(
        &mut self,
        created_by: &str,
        layer: &Layer,
        tap: Option<&mut Tap<'_>>,
    ) -> anyhow::Result<DiffId> {
        let mut staged = self.launch_cache.as_mut().and_then(LaunchCache::stage);
        let for_launch = staged.as_mut().map(|staged| staged as &mut dyn Tee);
        let for_cache = tap.and_then(Tap::tee);
        let mut tees = Tees(for_cache.into_iter().chain(for_launch).collect());
        let tee = (!tees.0.is_empty()).then_some(&mut tees as &mut dyn Tee);
        let written = self.draft.write_layer(layer, &self.options, tee)?;
        if let (Some(launch_cache), Some(staged)) = (&mut self.launch_cache, staged) {
            launch_cache.finish(staged, &written.diff_id);
        }
        self.editor.append(&written, history(created_by));
        Ok(written.diff_id)
    }
}

/// All who get the bytes of a tar besides the image.
struct Tees<'a>(Vec<&'a mut dyn Tee>);

impl Tee for Tees<'_> {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut tees = self.0.iter_mut();
        tees.try_for_each(|tee| tee.write_all_at(bytes, offset))
    }
}

impl AlsoCached<'_> {
    fn is_known(&self) -> bool {
        self.filling.knows(self.buildpack_id, self.layer_name)
    }
}

impl<'a> AlsoCached<'a> {
    fn tap(self, diff_id: Option<&DiffId>) -> Tap<'a> {
        self.filling
            .tap(self.buildpack_id, self.layer_name, diff_id)
    }
}

fn history(created_by: &str) -> History {
    History {
        created_by: created_by.to_owned(),
        ..History::default()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cache::{Cache, VolumeCache};
    use fs_err as fs;
    use layout::digest::sha256;
    use layout::editor::CommitOptions;
    use layout::manifest::Platform;
    use layout::{Layout, Selector};

    use super::*;

    fn image_of(layer: &Layer, dir: &Path) -> (Image, DiffId) {
        let layout = Layout::at(dir);
        let mut update = layout.update().unwrap();
        let mut editor = ImageEditor::empty(&Platform::default());
        let written = update.write_layer(layer, &WriteOptions::default(), None);
        let written = written.unwrap();
        editor.append(&written, History::default());
        editor.commit(update, &CommitOptions::default()).unwrap();
        let image = layout.image(&Selector::default()).unwrap().unwrap();
        (image, written.diff_id)
    }

    #[test]
    fn a_cache_names_what_it_got_and_not_what_was_hashed_before() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "before").unwrap();
        let layer = Layer::of_directory(&tree, None).unwrap();
        let (previous, before) = image_of(&layer, &dir.path().join("previous"));
        fs::write(tree.join("file"), "after!").unwrap();

        let cache = dir.path().join("cache");
        fs::create_dir(&cache).unwrap();
        let cache = VolumeCache::open(&cache).unwrap();
        let mut filling = Filling::new(Cache::from(cache)).unwrap();
        let mut image = AppImage::new(
            ImageEditor::empty(&Platform::default()),
            Box::new(Layout::at(dir.path().join("app")).update().unwrap()),
            Some(&previous),
            WriteOptions::default(),
            None,
        );
        let cached = AlsoCached {
            filling: &mut filling,
            buildpack_id: "acme/one",
            layer_name: "dep",
        };
        let walked = Walked {
            layer,
            diff_id: Some(before.clone()),
        };
        let known = [&*before.to_string()];
        let added = image.add_quietly("", &walked, &known, Some(cached));
        assert_eq!(added.unwrap(), Added::Reused(before));

        let staged = fs::read_dir(dir.path().join("cache/staging")).unwrap();
        let tars: Vec<_> = staged.map(|it| it.unwrap().path()).collect();
        let [tar] = &tars[..] else {
            panic!("{tars:?}");
        };
        let digest = sha256(&fs::read(tar).unwrap());
        assert_eq!(
            tar.file_stem().unwrap().to_str(),
            Some(&*digest.to_string())
        );
    }
}
