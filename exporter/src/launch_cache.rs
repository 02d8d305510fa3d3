//! The launch cache: tars of an app image's layers beside the daemon that has the image, for a rebuild that needs them
//! (COM-094, EXP-088).
//!
//! It is worth nothing more than time, so what goes wrong is a warning: the cache stays as it was.

use cache::{StagedLayer, VolumeCache};
use layout::DiffId;

/// A launch cache that is being filled.
#[derive(Debug)]
pub(crate) struct LaunchCache {
    cache: VolumeCache,
    failure: Option<anyhow::Error>,
}

impl LaunchCache {
    pub(crate) fn new(cache: VolumeCache) -> Self {
        Self {
            cache,
            failure: None,
        }
    }

    /// Begins to take in a layer that is being written.
    pub(crate) fn stage(&mut self) -> Option<StagedLayer> {
        if self.failure.is_some() {
            return None;
        }
        match self.cache.stage() {
            Ok(staged) => Some(staged),
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }

    /// Names what was taken in.
    pub(crate) fn finish(&mut self, staged: StagedLayer, diff_id: &DiffId) {
        if let Err(error) = staged.finish(diff_id) {
            self.failure.get_or_insert(error);
        }
    }

    /// Keeps a layer that the daemon has already: the tar that is here, or what `write` gives.
    pub(crate) fn keep(
        &mut self,
        diff_id: &DiffId,
        write: impl FnOnce(&mut StagedLayer) -> anyhow::Result<()>,
    ) {
        if self.cache.reuse(diff_id).is_ok() {
            return;
        }
        let Some(mut staged) = self.stage() else {
            return;
        };
        match write(&mut staged) {
            Ok(()) => self.finish(staged, diff_id),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// Makes what was taken in the launch cache.
    pub(crate) fn commit(self) {
        let committed = match self.failure {
            Some(error) => Err(error),
            None => self.cache.commit_layers(),
        };
        if let Err(error) = committed {
            tracing::warn!("Failed to export launch cache: {error:#}");
        }
    }
}
