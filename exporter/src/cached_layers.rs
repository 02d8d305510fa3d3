//! The build cache, filled while the image is made and committed after it (EXP-051, EXP-085 to EXP-087).
//!
//! A layer that image and cache both get is read once for both: its tar is staged on its way into the
//! image ([`Tap`]), and a cache image takes over what is in the app image ([`AppLayers`]). At the same time, if the
//! platform wants that, a cache image gets its layers by itself.
//! Nothing here can fail the export: what goes wrong is a warning.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use buildpack::layer::BuildpackLayer;
use cache::{Cache, CacheMetadata, CachedBuildpack, Miss, NextImage, StagedLayer, VolumeCache};
use layout::layer::{self, Layer, Owner, Tee};
use layout::{DiffId, Digest, Image};
use platform::files::LayersMetadata;
use platform::files::analyzed::LayerRecord;
use platform::output::Output;

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

/// The layers of an app image that was just written.
#[derive(Debug)]
pub(crate) struct AppLayers<'a> {
    output: &'a Output,
    manifest: Digest,
    record: LayersMetadata,
    /// Looked up for the first layer that is wanted of it; nothing if it cannot be read.
    image: OnceCell<Option<Image>>,
}

impl<'a> AppLayers<'a> {
    /// Names the image, and what its label records; reads nothing.
    pub(crate) fn new(output: &'a Output, manifest: &Digest, record: LayersMetadata) -> Self {
        Self {
            output,
            manifest: manifest.clone(),
            record,
            image: OnceCell::new(),
        }
    }

    /// Returns the diffID that a layer has in the image, if it is there.
    fn diff_id(&self, layer: &BuildpackLayer) -> Option<DiffId> {
        let layers = &self.record.buildpack(&layer.buildpack_id)?.layers;
        layers.get(&layer.name)?.sha.parse().ok().map(DiffId)
    }

    fn image(&self) -> Option<&Image> {
        let written = || {
            let image = self.output.written(&self.manifest);
            image
                .inspect_err(|error| tracing::debug!("The cache makes its layers anew: {error:#}"))
                .ok()
        };
        self.image.get_or_init(written).as_ref()
    }
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
        app: Option<&AppLayers<'_>>,
    ) -> anyhow::Result<CacheMetadata> {
        if !self.existed {
            tracing::info!("Layer cache not found");
        }
        let mut metadata = CacheMetadata::default();
        for buildpack in buildpacks {
            metadata
                .buildpacks
                .push(self.take_buildpack(buildpack, owner, app));
        }
        if api.has_sbom()
            && let Some(dir) = sbom::directory(layers_dir, "cache")?
        {
            let before = Some(self.before.sbom.clone()).filter(|sha| !sha.is_empty());
            let walk = || Layer::of_directory(&dir, Some(owner));
            let diff_id = self.take(SBOM_ID, walk, before.as_deref(), None)?;
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

    fn take_buildpack(
        &mut self,
        buildpack: &BuildpackDir,
        owner: Owner,
        app: Option<&AppLayers<'_>>,
    ) -> CachedBuildpack {
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
            match self.take_layer(&id, found, owner, app) {
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
        app: Option<&AppLayers<'_>>,
    ) -> anyhow::Result<LayerRecord> {
        let before = self.sha_before(&found.layer.buildpack_id, &found.layer.name);
        let before = before.map(str::to_owned);
        let walk = || Layer::of_directory(&found.layer.path, Some(owner));
        let in_app = app.and_then(|app| Some((app, app.diff_id(&found.layer)?)));
        let diff_id = self.take(id, walk, before.as_deref(), in_app)?;
        found.record(&diff_id)
    }

    /// Takes a layer in, unless it was on its way into the image, and says how.
    fn take(
        &mut self,
        id: &str,
        walk: impl Fn() -> Result<Layer, layer::Error>,
        before: Option<&str>,
        in_app: Option<InApp<'_>>,
    ) -> anyhow::Result<DiffId> {
        let shared = self.taken.contains_key(id);
        if let Next::Image(image) = &mut self.next {
            let taken = send(image, walk, before, in_app)?;
            self.taken.insert(id.to_owned(), taken);
        } else if !shared {
            let layer = &walk()?;
            let diff_id = before.map(|_| layer.diff_id()).transpose()?;
            let mut tap = self.tap_id(id.to_owned(), before, diff_id.as_ref());
            let diff_id = match diff_id {
                Some(diff_id) if tap.tee().is_none() => diff_id,
                _ => layer::diff_id_with_tee(layer, tap.tee())?,
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

/// An app image, and the diffID of a layer that it has.
type InApp<'a> = (&'a AppLayers<'a>, DiffId);

/// Has a layer in the cache image: the one that is there if it is the same, else that of the app image if it is near,
/// else one that is made.
fn send(
    image: &mut NextImage,
    walk: impl Fn() -> Result<Layer, layer::Error>,
    before: Option<&str>,
    in_app: Option<InApp<'_>>,
) -> anyhow::Result<Taken> {
    let mut taken = Taken::default();
    let mut walked = None;
    let diff_id = match (&in_app, before) {
        (Some((_, diff_id)), _) => Some(diff_id.clone()),
        (None, Some(_)) => Some(walked.insert(walk()?).diff_id()?),
        (None, None) => None,
    };
    if let Some(diff_id) = diff_id.filter(|it| before == Some(it.to_string().as_str())) {
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
    if let Some((app, diff_id)) = in_app
        && let Some(app) = app.image()
        && image.take_over(app, &diff_id)?
    {
        taken.result = Some(Ok(diff_id));
        return Ok(taken);
    }
    let layer = walked.map_or_else(walk, Ok)?;
    taken.result = Some(image.add(&layer));
    Ok(taken)
}

/// Where the bytes of a layer's tar go if the cache wants them.
#[derive(Debug)]
pub(crate) struct Tap<'a> {
    filling: &'a mut Filling,
    id: String,
    staged: Option<StagedLayer>,
    taken: Taken,
}

impl Tap<'_> {
    /// Returns who takes the bytes, and never fails; nobody where the old copy was taken over, or nothing can be written.
    pub(crate) fn tee(&mut self) -> Option<&mut dyn Tee> {
        self.staged.as_mut().map(|staged| staged as &mut dyn Tee)
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
