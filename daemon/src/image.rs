//! An image as a daemon describes it, and its layers, which are fetched when the first one is read.

use std::fmt::Debug;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use layout::blob::{self, Blobs};
use layout::config::{CREATED, ContainerConfig};
use layout::digest::Verified;
use layout::image::Error as ImageError;
use layout::manifest::MediaType;
use layout::{Descriptor, DiffId, Digest, History, Image, ImageConfig, Manifest};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::engine::Engine;
use crate::error::Error;
use crate::saved::{LayerTar, Saved};

/// Tars of layers that lie on this machine, such as those of a launch cache.
pub trait LayerTars: Debug + Send + Sync {
    /// Returns the file with the tar of that diffID, if there is one. What is in it is not believed: a file with other
    /// bytes is as good as none.
    fn open(&self, diff_id: &DiffId) -> Option<fs_err::File>;
}

/// What inspecting an image gives.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    pub(crate) id: Digest,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    config: ContainerConfig,
    #[serde(default)]
    created: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    os_version: String,
    #[serde(default, rename = "RootFS")]
    root_fs: RootFs,
    #[serde(default)]
    variant: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RootFs {
    layers: Vec<DiffId>,
}

impl Inspected {
    /// Returns the diffIDs, base first.
    pub(crate) fn diff_ids(&self) -> &[DiffId] {
        &self.root_fs.layers
    }
}

/// One of the steps by which an image came about, as a daemon tells them: the last one first.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct PastStep {
    created: i64,
    created_by: Option<String>,
    comment: Option<String>,
}

impl From<PastStep> for History {
    fn from(step: PastStep) -> Self {
        let created = OffsetDateTime::from_unix_timestamp(step.created).ok();
        Self {
            created: created.and_then(|it| it.format(&Rfc3339).ok()),
            created_by: step.created_by.unwrap_or_default(),
            comment: step.comment.unwrap_or_default(),
            ..Self::default()
        }
    }
}

/// Returns the view of an image.
pub(crate) fn of_inspected(
    engine: &Engine,
    name: &str,
    inspected: Inspected,
    history: Vec<PastStep>,
    tars: Option<Arc<dyn LayerTars>>,
) -> Result<Image, ImageError> {
    let id = inspected.id.clone();
    let blobs = DaemonBlobs {
        engine: engine.clone(),
        name: name.to_owned(),
        id: id.clone(),
        diff_ids: inspected.root_fs.layers.clone(),
        tars,
        saved: Mutex::default(),
    };
    let layer = |diff_id: &DiffId| Descriptor::new(MediaType::ImageLayer, 0, diff_id.0.clone());
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::ImageManifest),
        config: Descriptor::new(MediaType::ImageConfig, 0, id.clone()),
        layers: blobs.diff_ids.iter().map(layer).collect(),
        annotations: std::collections::BTreeMap::default(),
    };
    let config = config_of(inspected, history);
    Image::of_parts(id, 0, manifest, config, Arc::new(blobs))
}

/// Returns the config with the keys that the reference takes from a daemon.
fn config_of(inspected: Inspected, history: Vec<PastStep>) -> ImageConfig {
    let found = inspected.config;
    let mut config = ImageConfig {
        architecture: inspected.architecture,
        author: inspected.author,
        created: Some(if inspected.created.is_empty() {
            CREATED.to_owned()
        } else {
            inspected.created
        }),
        history: history.into_iter().rev().map(History::from).collect(),
        os: inspected.os,
        os_version: inspected.os_version,
        variant: inspected.variant,
        diff_ids: inspected.root_fs.layers,
        config: ContainerConfig {
            cmd: found.cmd,
            entrypoint: found.entrypoint,
            env: found.env,
            exposed_ports: found.exposed_ports,
            healthcheck: found.healthcheck,
            labels: found.labels,
            on_build: found.on_build,
            shell: found.shell,
            stop_signal: found.stop_signal,
            user: found.user,
            volumes: found.volumes,
            working_dir: found.working_dir,
            ..ContainerConfig::default()
        },
        ..ImageConfig::default()
    };
    config.normalize_history();
    config
}

/// The layers of an image in a daemon, by diffID.
#[derive(Debug)]
pub(crate) struct DaemonBlobs {
    engine: Engine,
    name: String,
    id: Digest,
    diff_ids: Vec<DiffId>,
    tars: Option<Arc<dyn LayerTars>>,
    saved: Mutex<Option<Arc<Saved>>>,
}

impl DaemonBlobs {
    /// Returns the daemon that has the image.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the image's ID.
    pub(crate) fn id(&self) -> &Digest {
        &self.id
    }

    /// Returns a layer's tar, which whoever reads it has to verify; `None` if the image has no such layer.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Result<Option<LayerTar>, Error> {
        if !self.diff_ids.contains(diff_id) {
            return Ok(None);
        }
        if let Some(tar) = self.kept(diff_id) {
            return Ok(Some(tar));
        }
        let saved = self.saved()?;
        Ok(Some(saved.layer(diff_id)?))
    }

    /// Returns the tar that lies on this machine already, if its bytes are those of the layer.
    fn kept(&self, diff_id: &DiffId) -> Option<LayerTar> {
        let file = Arc::new(self.tars.as_ref()?.open(diff_id)?);
        let size = file
            .metadata()
            .ok()
            .filter(std::fs::Metadata::is_file)?
            .len();
        let tar = LayerTar::new(&file, 0, size);
        let mut verified = Verified::new(tar.reader(), &diff_id.0, Some(size), String::new())?;
        // Read twice, rather than found out in the middle of a stream to the daemon.
        io::copy(&mut verified, &mut io::sink()).ok()?;
        Some(tar)
    }

    /// Returns the layers, which are fetched at the first call.
    fn saved(&self) -> Result<Arc<Saved>, Error> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(saved) = &*saved {
            return Ok(Arc::clone(saved));
        }
        let fetched = Arc::new(self.engine.save(&self.id)?);
        *saved = Some(Arc::clone(&fetched));
        Ok(fetched)
    }
}

impl Blobs for DaemonBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let diff_id = DiffId(blob.digest.clone());
        let Some(tar) = self.layer(&diff_id)? else {
            return Ok(None);
        };
        let what = format!("layer {diff_id} in {}", self.location());
        match Verified::new(tar.reader(), &diff_id.0, None, what) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(blob::Error::Algorithm(blob.digest.clone())),
        }
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        format!(
            "image {} of the daemon at {}",
            self.name,
            self.engine.host()
        )
    }
}

#[cfg(test)]
mod tests;
