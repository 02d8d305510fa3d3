//! The layers that start the app: the launcher, and one link per process type (EXP-043 to EXP-045, BPB-047).

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use buildpack::launch::Process;
use layout::layer::{Entry, EntryKind, Layer};

/// Directory of the launcher in app images.
pub(crate) const LIFECYCLE_DIR: &str = "/cnb/lifecycle";
/// The launcher in app images.
pub(crate) const LAUNCHER_PATH: &str = "/cnb/lifecycle/launcher";
/// Directory of the links to the launcher, one per process type.
pub(crate) const PROCESS_DIR: &str = "/cnb/process";

/// What a process type must not contain.
const FORBIDDEN: &[char] = &['/', '>', '<', ':', '|', '&', '\\'];

/// Returns the layer of the launcher; a link to it is followed.
pub(crate) fn launcher_layer(launcher: &Path) -> anyhow::Result<Layer> {
    let describe = || format!("failed to stat launcher at path '{}'", launcher.display());
    let metadata = fs_err::metadata(launcher).with_context(describe)?;
    ensure!(metadata.is_file(), "{}: not a file", describe());
    let file = EntryKind::File {
        source: launcher.into(),
        size: metadata.len(),
    };
    Ok(Layer {
        entries: vec![
            directory("/cnb"),
            directory(LIFECYCLE_DIR),
            of_root(LAUNCHER_PATH, file),
        ],
    })
}

/// Returns the layer of links, in the order of the processes.
pub(crate) fn process_types_layer(processes: &[Process]) -> anyhow::Result<Layer> {
    let mut entries = vec![directory("/cnb"), directory(PROCESS_DIR)];
    for process in processes {
        validate(&process.process_type)?;
        let link = EntryKind::Symlink {
            target: LAUNCHER_PATH.into(),
        };
        entries.push(of_root(&process_path(&process.process_type), link));
    }
    Ok(Layer { entries })
}

/// Returns where the link of a process type is.
pub(crate) fn process_path(process_type: &str) -> String {
    format!("{PROCESS_DIR}/{process_type}")
}

fn validate(process_type: &str) -> anyhow::Result<()> {
    ensure!(
        !process_type.is_empty(),
        "type is required for all processes"
    );
    if process_type.contains(FORBIDDEN) {
        let forbidden: String = FORBIDDEN.iter().collect();
        bail!(
            "invalid process type '{process_type}': type may not contain characters '{forbidden}'"
        );
    }
    Ok(())
}

fn directory(name: &str) -> Entry {
    of_root(name, EntryKind::Directory)
}

/// These layers belong to root whatever `-uid` says; links have 0755 too, not the 0777 of links on disk.
fn of_root(name: &str, kind: EntryKind) -> Entry {
    Entry {
        name: Path::new(name).into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(types: &[&str]) -> Vec<Process> {
        let process = |process_type: &&str| Process {
            process_type: (*process_type).to_owned(),
            ..Process::default()
        };
        types.iter().map(process).collect()
    }

    #[test]
    fn the_layer_of_the_single_type_web_is_the_known_one() {
        let layer = process_types_layer(&processes(&["web"])).expect("layer");
        let mut tar = Vec::new();
        layer.write_tar(&mut tar).expect("tar");
        assert_eq!(tar.len(), 2560);
        assert_eq!(
            layer.diff_id().expect("diffID").to_string(),
            "sha256:83d85471d9f8a3834b4e27cf701e3f0aef220cc816d9c173c7d32cd73909a590"
        );
    }

    #[test]
    fn each_process_type_is_a_link_of_root_to_the_launcher() {
        let layer = process_types_layer(&processes(&["web", "job.v1"])).expect("layer");
        assert!(layer.entries.iter().all(|e| (e.uid, e.gid) == (0, 0)));
        let links: Vec<_> = layer.entries[2..]
            .iter()
            .map(|entry| match &entry.kind {
                EntryKind::Symlink { target } => (&*entry.name, target.as_path()),
                other => panic!("{other:?}"),
            })
            .collect();
        let launcher = Path::new("/cnb/lifecycle/launcher");
        assert_eq!(
            links,
            [
                (Path::new("/cnb/process/web"), launcher),
                (Path::new("/cnb/process/job.v1"), launcher),
            ]
        );
    }

    #[test]
    fn process_types_are_checked() {
        for good in ["web", "zz.9_-", "é", "a b"] {
            assert!(process_types_layer(&processes(&[good])).is_ok(), "{good}");
        }
        for bad in ["a/b", "a>b", "a<b", "a:b", "a|b", "a&b", "a\\b"] {
            let error = process_types_layer(&processes(&[bad])).expect_err(bad);
            let begin = format!("invalid process type '{bad}'");
            assert!(error.to_string().starts_with(&begin), "{error}");
        }
        let error = process_types_layer(&processes(&[""])).expect_err("no type");
        assert_eq!(error.to_string(), "type is required for all processes");
    }

    #[test]
    fn the_launcher_is_a_file_of_root() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let launcher = dir.path().join("launcher");
        fs_err::write(&launcher, "run").expect("launcher");
        let link = dir.path().join("link");
        fs_err::os::unix::fs::symlink(&launcher, &link).expect("link");
        for path in [&launcher, &link] {
            let layer = launcher_layer(path).expect("layer");
            let names: Vec<_> = layer
                .entries
                .iter()
                .map(|e| e.name.display().to_string())
                .collect();
            assert_eq!(names, ["/cnb", "/cnb/lifecycle", "/cnb/lifecycle/launcher"]);
            assert!(
                layer
                    .entries
                    .iter()
                    .all(|e| (e.uid, e.gid, e.mode) == (0, 0, 0o755))
            );
            assert!(matches!(
                layer.entries[2].kind,
                EntryKind::File { size: 3, .. }
            ));
        }
        assert!(launcher_layer(dir.path()).is_err());
        assert!(launcher_layer(&dir.path().join("absent")).is_err());
    }
}
