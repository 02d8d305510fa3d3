//! A whole image from any store under a name of a registry, to the byte.

use std::any::Any;

use layout::manifest::{Descriptor, MediaType};
use layout::{Image, Reference, blob};

use crate::blobs::RegistryBlobs;
use crate::error::Error;
use crate::repository::Repository;
use crate::transfer::{Job, transfer};

/// Makes the image one of `to`: its blobs first, then its manifest under the name.
pub(crate) fn copy(to: &Repository, image: &Image, name: &Reference) -> Result<(), Error> {
    let doing = format!("write {name}");
    let manifest = image.manifest();
    let media_type = manifest.media_type.clone();
    let media_type = media_type.unwrap_or(MediaType::ImageManifest);
    let size = image.manifest_size();
    let descriptor = Descriptor::new(media_type, size, image.digest().clone());
    let bytes = read(to, image, &descriptor, &doing)?;
    let from: &dyn Any = &**image.blobs();
    let is_here = from.downcast_ref().is_some_and(|it: &RegistryBlobs| {
        it.repository.registry == to.registry && it.repository.name == to.name
    });
    if !is_here {
        let layers = manifest.layers.iter().map(|blob| Job {
            blob,
            from: image.blobs(),
        });
        transfer(to, &layers.collect::<Vec<_>>(), &doing)?;
        let config = read(to, image, &manifest.config, &doing)?;
        to.put_small(&config, &manifest.config.digest, &doing)?;
    }
    to.put_manifest(name.identifier(), &descriptor.media_type, &bytes)
}

fn read(
    to: &Repository,
    image: &Image,
    document: &Descriptor,
    doing: &str,
) -> Result<Vec<u8>, Error> {
    let bytes = blob::read(&**image.blobs(), document).map_err(|error| Error::Source {
        doing: doing.to_owned(),
        source: std::io::Error::other(error),
    })?;
    bytes.ok_or_else(|| Error::MissingBlob {
        doing: doing.to_owned(),
        host: to.registry.clone(),
        digest: document.digest.to_string(),
        location: image.blobs().location(),
    })
}
