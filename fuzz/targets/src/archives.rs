//! Archives: nothing in them is written anywhere but where it belongs.

use layout::archive::Archive;
use layout::layer::{self, Extract, Limits, Opaque, Owners, Unpack};
use project::Filter;

use crate::place::{Place, with_file};

/// A layer that is restored: below one directory of those that it names.
pub(crate) fn extract(bytes: &[u8]) {
    let place = Place::new();
    let extract = Extract {
        root: place.path(),
        within: &place.inside(),
    };
    layer::extract(&mut &*mended(bytes), &extract).ok();
    place.check();
}

/// A whole layer.
pub(crate) fn unpack(bytes: &[u8]) {
    let place = Place::new();
    let how = Unpack {
        owners: Owners::Caller,
        opaque: Opaque::User,
        limits: Limits {
            bytes: 1 << 20,
            entries: 200,
        },
    };
    layer::unpack(&mut &*mended(bytes), &place.inside(), &how).ok();
    place.check();
}

/// A layout in a tar, and the layers of its images.
pub(crate) fn layout(bytes: &[u8]) {
    let place = Place::new();
    with_file("archive", &mended(bytes), |path| {
        let Ok(archive) = Archive::open(path, &place.inside()) else {
            return;
        };
        for entry in archive.images().unwrap_or_default() {
            let Ok(image) = entry.open(archive.blobs()) else {
                continue;
            };
            for diff_id in image.diff_ids() {
                if let Ok(Some(tar)) = image.open_layer(diff_id) {
                    std::io::copy(&mut std::io::Read::take(tar, 1 << 20), &mut std::io::sink())
                        .ok();
                }
            }
        }
    });
    place.check();
}

/// An app in a zip.
pub(crate) fn zip(bytes: &[u8]) {
    let place = Place::new();
    let filter = Filter::new(&[], &[]).unwrap();
    with_file("app.zip", bytes, |path| {
        project::source::copy(path, &filter, &place.inside()).ok()
    });
    place.check();
}

/// Gives each header of a tar the checksum that it should have: a fuzzer does not find one by chance.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        if block[257..].starts_with(b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().copied().map(u32::from).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    bytes
}
