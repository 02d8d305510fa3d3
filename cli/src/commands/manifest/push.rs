//! `slipway manifest push`: the images first, then the list.

use anyhow::{Context as _, bail};
use layout::digest::sha256;
use layout::manifest::MediaType;
use layout::name::Identifier;
use layout::{Digest, Reference, json};

use super::list::List;
use crate::images::ImageName;
use crate::images::stores::Stores;
use crate::sparse;

/// Makes each image one of the list's repository, writes the list, and returns its digest.
pub(super) fn push(list: &List, name: &Reference, stores: &Stores<'_>) -> anyhow::Result<Digest> {
    let failed = || format!("failed to push manifest list {name}");
    let index = list.index();
    if index.manifests.is_empty() {
        bail!("manifest list {name} has no image\nadd one: slipway manifest add {name} IMAGE");
    }
    let media_type = index.media_type.clone();
    let media_type = media_type.unwrap_or(MediaType::ImageIndex);
    let has_annotations = index.manifests.iter().any(|it| !it.annotations.is_empty());
    if media_type != MediaType::ImageIndex && has_annotations {
        bail!("a Docker manifest list has no annotations\npush it as --format oci");
    }
    for (descriptor, from) in list.images() {
        let found = ImageName::parse(from)?;
        let mut image = found.view(stores, None).with_context(failed)?;
        if !found.is_elsewhere(&image) {
            image = sparse::completed(image, &stores.config().layout_repo_dir())?;
        }
        let there = Reference {
            identifier: Identifier::Digest(descriptor.digest.to_string()),
            ..name.clone()
        };
        let copied = stores.registries().copy(&image, &there);
        copied.with_context(failed)?;
    }
    let text = json::to_string(index)?;
    let written = stores.registries().put(name, &media_type, text.as_bytes());
    written.with_context(failed)?;
    Ok(sha256(text.as_bytes()))
}
