//! The build cache, filled while the image is made and committed after it (EXP-051, EXP-085 to EXP-087).
//!
//! A layer that image and cache both get is read once for both: its tar is staged on its way into the
//! image ([`Tap`]). A cache image gets its layers by itself, at the same time if the platform wants that.
//! Nothing here can fail the export: what goes wrong is a warning.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use cache::{Cache, CacheMetadata, CachedBuildpack, Miss, NextImage, StagedLayer, VolumeCache};
use layout::DiffId;
use layout::layer::{self, Layer, Owner};
use platform::files::analyzed::LayerRecord;

use crate::buildpack_dir::{BuildpackDir, FoundLayer};
use crate::sbom;

/// Id of the SBOM layer in logs.
const SBOM_ID: &str = "buildpacksio/lifecycle:cache.sbom";

/// A cache that is being filled.
#[derive(Debug)]
pub(crate) struct Filling {
    next: Next,
    before: CacheMetadata,
    /// There was a cache before.
    existed: bool,
    /// By layer id: what an earlier tap did.
    taken: HashMap<String, Taken>,
}

/// What takes the place of the cache that was.
#[derive(Debug)]
enum Next {
    Volume(VolumeCache),
    Image(Box<NextImage>),
}

/// What became of one layer in the cache.
#[derive(Debug, Default)]
struct Taken {
    /// The diffID under which the layer is in the cache, or why it is not.
    result: Option<Result<DiffId, anyhow::Error>>,
    /// The old copy was taken over.
    reused: bool,
    /// Why the old copy was not.
    skipped: Option<String>,
}

impl Filling {
    /// Starts from what the cache holds.
    pub(crate) fn new(cache: Cache) -> anyhow::Result<Self> {
        Ok(Self {
            before: cache.metadata().context("metadata for previous cache")?,
            existed: cache.exists(),
            next: match cache {
                Cache::Volume(cache) => Next::Volume(cache),
                Cache::Image(cache) => Next::Image(Box::new(cache.next())),
            },
            taken: HashMap::new(),
        })
    }

    /// Returns whether layers can be taken in on their way into the app image.
    pub(crate) fn has_taps(&self) -> bool {
        matches!(self.next, Next::Volume(_))
    }

    /// Returns whether the cache had a layer of that name.
    pub(crate) fn knows(&self, buildpack_id: &str, layer_name: &str) -> bool {
        self.sha_before(buildpack_id, layer_name).is_some()
    }

    /// Begins to take a layer in; `diff_id` is its own if somebody knows it already.
    pub(crate) fn tap(
        &mut self,
        buildpack_id: &str,
        layer_name: &str,
        diff_id: Option<&DiffId>,
    ) -> Tap<'_> {
        let before = self.sha_before(buildpack_id, layer_name).map(str::to_owned);
        self.tap_id(
            format!("{buildpack_id}:{layer_name}"),
            before.as_deref(),
            diff_id,
        )
    }

    fn tap_id(&mut self, id: String, before: Option<&str>, diff_id: Option<&DiffId>) -> Tap<'_> {
        let mut taken = Taken::default();
        let mut staged = None;
        if let Next::Volume(cache) = &self.next {
            if let Some(diff_id) = diff_id.filter(|id| before == Some(id.to_string().as_str())) {
                match cache.reuse(diff_id) {
                    Ok(()) => taken.reused = true,
                    Err(Miss::Unusable(reason)) => taken.skipped = Some(reason),
                    Err(Miss::Unreadable(error)) => taken.result = Some(Err(error)),
                }
            }
            if !taken.reused && taken.result.is_none() {
                match cache.stage() {
                    Ok(layer) => staged = Some(layer),
                    Err(error) => taken.result = Some(Err(error)),
                }
            }
        }
        Tap {
            filling: self,
            id,
            staged,
            taken,
        }
    }

    fn sha_before(&self, buildpack_id: &str, layer_name: &str) -> Option<&str> {
        let layers = &self.before.buildpack(buildpack_id)?.layers;
        layers.get(layer_name).map(|record| record.sha.as_str())
    }

    /// Takes in what the image did not, and logs it all.
    pub(crate) fn fill(
        &mut self,
        api: platform::PlatformApi,
        layers_dir: &Path,
        buildpacks: &[BuildpackDir],
        owner: Owner,
    ) -> anyhow::Result<CacheMetadata> {
        if !self.existed {
            tracing::info!("Layer cache not found");
        }
        let mut metadata = CacheMetadata::default();
        for buildpack in buildpacks {
            metadata
                .buildpacks
                .push(self.take_buildpack(buildpack, owner));
        }
        if api.has_sbom()
            && let Some(dir) = sbom::directory(layers_dir, "cache")?
        {
            let before = Some(self.before.sbom.clone()).filter(|sha| !sha.is_empty());
            let layer = Layer::of_directory(&dir, Some(owner))?;
            let diff_id = self.take(SBOM_ID, &layer, before.as_deref())?;
            metadata.sbom = diff_id.to_string();
        }
        Ok(metadata)
    }

    /// Makes what was taken in the cache.
    pub(crate) fn commit(self, metadata: &CacheMetadata) -> anyhow::Result<()> {
        match self.next {
            Next::Volume(cache) => cache.commit(metadata),
            Next::Image(image) => image.commit(metadata),
        }
        .context("committing cache")
    }

    fn take_buildpack(&mut self, buildpack: &BuildpackDir, owner: Owner) -> CachedBuildpack {
        let mut record = CachedBuildpack {
            id: buildpack.module.id.clone(),
            version: buildpack.module.version.clone(),
            ..CachedBuildpack::default()
        };
        for found in buildpack.cached() {
            let id = found.layer.identifier();
            if !found.layer.has_contents() {
                tracing::warn!("Failed to cache layer '{id}' because it has no contents");
                continue;
            }
            match self.take_layer(&id, found, owner) {
                Ok(layer) => {
                    record.layers.insert(found.layer.name.clone(), layer);
                }
                Err(error) => tracing::warn!("Failed to cache layer '{id}': {error:#}"),
            }
        }
        record
    }

    fn take_layer(
        &mut self,
        id: &str,
        found: &FoundLayer,
        owner: Owner,
    ) -> anyhow::Result<LayerRecord> {
        let before = self.sha_before(&found.layer.buildpack_id, &found.layer.name);
        let before = before.map(str::to_owned);
        let contents = Layer::of_directory(&found.layer.path, Some(owner))?;
        let diff_id = self.take(id, &contents, before.as_deref())?;
        found.record(&diff_id)
    }

    /// Takes a layer in, unless it was on its way into the image, and says how.
    fn take(&mut self, id: &str, layer: &Layer, before: Option<&str>) -> anyhow::Result<DiffId> {
        let shared = self.taken.contains_key(id);
        if let Next::Image(image) = &mut self.next {
            let taken = send(image, layer, before)?;
            self.taken.insert(id.to_owned(), taken);
        } else if !shared {
            let diff_id = before.map(|_| layer.diff_id()).transpose()?;
            let mut tap = self.tap_id(id.to_owned(), before, diff_id.as_ref());
            let diff_id = match diff_id {
                Some(diff_id) if !tap.wants_bytes() => diff_id,
                _ => layer::diff_id_with_tee(layer, Some(&mut tap))?,
            };
            tap.finish(&diff_id);
        }
        let taken = self.taken.remove(id).unwrap_or_default();
        if let Some(reason) = taken.skipped {
            tracing::warn!("Skipping reuse for layer {id}: {reason}");
        }
        let diff_id = taken.result.context("nothing was staged")??;
        if shared {
            tracing::debug!("Reusing tarball for layer {id:?} with SHA: {diff_id}");
        }
        // The reference adds a reused layer again, which changes nothing, and says so.
        let reused = taken.reused.then_some("Reusing");
        for verb in reused.into_iter().chain(["Adding"]) {
            tracing::info!("{verb} cache layer '{id}'");
            tracing::debug!("Layer '{id}' SHA: {diff_id}");
        }
        Ok(diff_id)
    }
}

/// Has a layer in the cache image: the one that is there, if it is the same.
fn send(image: &mut NextImage, layer: &Layer, before: Option<&str>) -> anyhow::Result<Taken> {
    let mut taken = Taken::default();
    if let Some(before) = before {
        let diff_id = layer.diff_id()?;
        if before == diff_id.to_string() {
            match image.reuse(&diff_id) {
                Ok(()) => {
                    taken.reused = true;
                    taken.result = Some(Ok(diff_id));
                    return Ok(taken);
                }
                Err(Miss::Unusable(reason)) => taken.skipped = Some(reason),
                Err(Miss::Unreadable(error)) => return Err(error),
            }
        }
    }
    taken.result = Some(image.add(layer));
    Ok(taken)
}

/// Where the bytes of a layer's tar go if the cache wants them. Writing to it never fails.
#[derive(Debug)]
pub(crate) struct Tap<'a> {
    filling: &'a mut Filling,
    id: String,
    staged: Option<StagedLayer>,
    taken: Taken,
}

impl Tap<'_> {
    /// Returns false where the old copy was taken over, or nothing can be written.
    pub(crate) fn wants_bytes(&self) -> bool {
        self.staged.is_some()
    }

    /// Names what was written.
    pub(crate) fn finish(mut self, diff_id: &DiffId) {
        if let Some(staged) = self.staged.take() {
            self.taken.result = Some(staged.finish(diff_id).map(|()| diff_id.clone()));
        } else if self.taken.reused {
            self.taken.result = Some(Ok(diff_id.clone()));
        }
        self.filling.taken.insert(self.id, self.taken);
    }
}

impl Write for Tap<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Some(Err(error)) = self.staged.as_mut().map(|staged| staged.write_all(buf)) {
            self.staged = None;
            self.taken.result = Some(Err(error.into()));
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
