//! The lifecycle image: what platforms run phases from that need no builder (DST-027, DST-028).

use std::path::Path;

use layout::config::CREATED;
use layout::editor::{CommitOptions, Committed};
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout, json};
use platform::files::lifecycle::LowestApis;
use serde::Serialize;

use super::{Error, Lifecycle};
use crate::builder::LifecycleMetadata;
use crate::labels;
use crate::module::directory;

/// Enough for programs that ask who they are.
const PASSWD: &str =
    "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";

/// Writes the image of a lifecycle: a base of what its static programs need, which is nearly nothing, and a layer with it.
pub fn write(
    lifecycle: &Lifecycle,
    platform: &Platform,
    output: &Layout,
    ref_name: &str,
) -> Result<Committed, Error> {
    let scratch = tempfile::tempdir()?;
    let mut update = output.update()?;
    let mut editor = ImageEditor::empty(platform);
    let layers = [
        ("base", base(scratch.path())?),
        ("lifecycle", programs(lifecycle, scratch.path())?),
    ];
    for (what, layer) in layers {
        let written = update.write_layer(&layer, &WriteOptions::default(), None)?;
        let history = History {
            created: Some(CREATED.to_owned()),
            created_by: what.to_owned(),
            ..History::default()
        };
        editor.append(&written, history);
    }
    let config = editor.config_mut();
    config.created = Some(CREATED.to_owned());
    config.set_env("PATH", "/cnb/lifecycle:/usr/sbin:/usr/bin:/sbin:/bin");
    "/layers".clone_into(&mut config.config.working_dir);
    let metadata = LifecycleMetadata::of(&lifecycle.descriptor);
    let legacy = Legacy {
        lifecycle: Version {
            version: lifecycle.version(),
        },
        api: &metadata.api,
    };
    let of_image = &mut config.config.labels;
    let labels = [
        (labels::LIFECYCLE_VERSION, lifecycle.version().to_owned()),
        (labels::LIFECYCLE_APIS, json::to_string(&metadata.apis)?),
        (labels::BUILDER_METADATA, json::to_string(&legacy)?),
    ];
    of_image.extend(labels.map(|(name, value)| (name.to_owned(), value)));
    let options = CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    };
    Ok(editor.commit(update, &options)?)
}

fn base(scratch: &Path) -> Result<Layer, Error> {
    let mut entries = vec![directory(Path::new("/etc"))];
    for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
        let source = scratch.join(name);
        fs_err::write(&source, text)?;
        entries.push(Entry {
            name: Path::new("/etc").join(name).into(),
            mode: 0o644,
            kind: EntryKind::File {
                source: source.into(),
                size: text.len() as u64,
            },
            ..directory(Path::new("/"))
        });
    }
    entries.push(Entry {
        mode: 0o1777,
        ..directory(Path::new("/tmp"))
    });
    Ok(Layer { entries })
}

fn programs(lifecycle: &Lifecycle, scratch: &Path) -> Result<Layer, Error> {
    let mut entries = vec![directory(Path::new("/cnb"))];
    let toml = Path::new("/cnb/lifecycle.toml");
    entries.push(lifecycle.descriptor_entry(toml, scratch)?);
    entries.extend(lifecycle.entries(Path::new("/cnb/lifecycle")));
    Ok(Layer { entries })
}

/// What tools from before the lifecycle's own labels read.
#[derive(Serialize)]
struct Legacy<'a> {
    lifecycle: Version<'a>,
    api: &'a LowestApis,
}

#[derive(Serialize)]
struct Version<'a> {
    version: &'a str,
}
