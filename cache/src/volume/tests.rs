//! Bytes and names of COM-088 to COM-090, reasons of RES-022; digests by the layout crate.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use layout::digest::sha256;

use super::*;

const ONE: &[u8] = b"the first layer";
const TWO: &[u8] = b"the second layer";

fn id(bytes: &[u8]) -> DiffId {
    DiffId(sha256(bytes))
}

fn stage(cache: &VolumeCache, bytes: &[u8]) {
    let mut layer = cache.stage().unwrap();
    layer.write_all(bytes).unwrap();
    layer.finish(&id(bytes)).unwrap();
}

fn metadata(sbom: &str) -> CacheMetadata {
    CacheMetadata {
        sbom: sbom.to_owned(),
        ..CacheMetadata::default()
    }
}

/// A cache with both layers, as an exporter left it.
struct Cache(tempfile::TempDir);

impl Cache {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn filled() -> Self {
        let dir = Self::empty();
        let cache = dir.open();
        stage(&cache, ONE);
        stage(&cache, TWO);
        cache.commit(&metadata("first")).unwrap();
        dir
    }

    fn open(&self) -> VolumeCache {
        VolumeCache::open(self.0.path()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tar(&self, bytes: &[u8]) -> PathBuf {
        layer_path(&self.path("committed"), &id(bytes))
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn read(cache: &VolumeCache, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut reader = cache.open_layer(&id(bytes)).map_err(|miss| match miss {
        Miss::Unusable(reason) => reason,
        Miss::Unreadable(cause) => format!("fatal: {cause:#}"),
    })?;
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    Ok(found)
}

#[test]
fn a_directory_must_exist() {
    let error = VolumeCache::open(Path::new("/no/cache")).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "stat /no/cache: no such file or directory"
    );

    let dir = Cache::empty();
    fs::write(dir.path("file"), "").unwrap();
    assert!(VolumeCache::open(&dir.path("file")).is_err());
}

#[test]
fn opening_clears_what_a_killed_exporter_left() {
    let dir = Cache::filled();
    for name in ["staging/sub", "committed-backup/sub"] {
        fs::create_dir_all(dir.path(name)).unwrap();
        fs::write(dir.path(name).join("file"), "").unwrap();
    }
    let cache = dir.open();
    assert_eq!(dir.names("."), ["committed", "staging"]);
    assert_eq!(dir.names("staging"), Vec::<String>::new());
    assert_eq!(read(&cache, ONE).unwrap(), ONE);
}

#[test]
fn a_commit_leaves_tars_and_one_line() {
    let dir = Cache::filled();
    let (one, two) = (format!("{}.tar", id(ONE)), format!("{}.tar", id(TWO)));
    let mut expected = vec![metadata::NAME.to_owned(), one, two];
    expected.sort();
    assert_eq!(dir.names("."), ["committed"]);
    assert_eq!(dir.names("committed"), expected);
    assert_eq!(fs::read(dir.tar(ONE)).unwrap(), ONE);
    let line = fs::read_to_string(dir.path("committed").join(metadata::NAME)).unwrap();
    assert_eq!(line, "{\"sbom\":{\"sha\":\"first\"},\"buildpacks\":null}\n");
    // 0666 and 0777 less the umask, as plain files and folders have it.
    fs::write(dir.path("plain"), "").unwrap();
    fs::create_dir(dir.path("folder")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode();
    assert_eq!(mode(&dir.tar(ONE)), mode(&dir.path("plain")));
    assert_eq!(mode(&dir.path("committed")), mode(&dir.path("folder")));
}

#[test]
fn metadata_is_empty_where_it_is_missing_or_damaged() {
    let dir = Cache::filled();
    let cache = dir.open();
    assert_eq!(cache.metadata().unwrap(), metadata("first"));
    let path = dir.path("committed").join(metadata::NAME);
    fs::write(&path, "{bad").unwrap();
    assert_eq!(cache.metadata().unwrap(), CacheMetadata::default());
    fs::remove_file(&path).unwrap();
    assert_eq!(cache.metadata().unwrap(), CacheMetadata::default());
    fs::create_dir(&path).unwrap();
    assert_eq!(cache.metadata().unwrap(), CacheMetadata::default());
    fs::remove_dir(&path).unwrap();
    fs::write(dir.path("elsewhere"), r#"{"sbom":{"sha":"x"}}"#).unwrap();
    symlink("../elsewhere", &path).unwrap();
    assert_eq!(cache.metadata().unwrap(), CacheMetadata::default());
}

#[test]
fn the_next_commit_holds_what_was_reused_and_staged_and_nothing_else() {
    let dir = Cache::filled();
    let inode = fs::metadata(dir.tar(ONE)).unwrap().ino();
    let cache = dir.open();
    cache.reuse(&id(ONE)).unwrap();
    // The exporter adds what it reused once more (EXP-087).
    stage(&cache, ONE);
    cache.reuse(&id(ONE)).unwrap();
    stage(&cache, b"third");
    cache.commit(&metadata("second")).unwrap();

    assert_eq!(fs::metadata(dir.tar(ONE)).unwrap().ino(), inode);
    let cache = dir.open();
    assert_eq!(cache.metadata().unwrap(), metadata("second"));
    assert!(dir.tar(b"third").exists());
    assert!(!dir.tar(TWO).exists());
    assert_eq!(dir.names("committed").len(), 3);
}

#[test]
fn a_layer_that_is_dropped_leaves_nothing() {
    let dir = Cache::empty();
    let cache = dir.open();
    let mut layer = cache.stage().unwrap();
    layer.write_all(ONE).unwrap();
    drop(layer);
    cache.commit(&CacheMetadata::default()).unwrap();
    assert_eq!(dir.names("committed"), [metadata::NAME]);
}

#[test]
fn layers_that_cannot_be_used() {
    let dir = Cache::filled();
    let cache = dir.open();
    let (one, two) = (id(ONE), id(TWO));
    let absent = id(b"absent");
    let expected = format!("failed to find cache layer with SHA '{absent}'");
    assert_eq!(read(&cache, b"absent").unwrap_err(), expected);

    fs::write(dir.tar(ONE), TWO).unwrap();
    let expected = format!("expected layer contents to have SHA '{one}'; found '{two}'");
    assert_eq!(read(&cache, ONE).unwrap_err(), expected);
    assert!(matches!(cache.reuse(&one), Err(Miss::Unusable(reason)) if reason == expected));
    assert_eq!(dir.names("staging"), Vec::<String>::new());

    fs::write(dir.path("elsewhere"), TWO).unwrap();
    let no_file = format!("cache layer with SHA '{two}' is not a regular file");
    let replacements: [fn(&Path); 3] = [
        |path| symlink("../elsewhere", path).unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| {
            let fifo = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, fifo, Mode::RUSR, 0).unwrap();
        },
    ];
    for replace in replacements {
        remove(&dir.tar(TWO)).unwrap();
        replace(&dir.tar(TWO));
        assert_eq!(read(&cache, TWO).unwrap_err(), no_file);
        assert!(matches!(cache.reuse(&two), Err(Miss::Unusable(_))));
    }
}

#[test]
fn a_tar_that_may_not_be_opened_is_fatal_and_a_closed_folder_is_not() {
    let dir = Cache::filled();
    let cache = dir.open();
    let (cache, unreadable) = (&cache, |cache: &VolumeCache| {
        match cache.open_layer(&id(ONE)) {
            Err(Miss::Unreadable(cause)) => cause.to_string(),
            _ => panic!("it could be opened, or is a plain miss"),
        }
    });
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    allow(&dir.tar(ONE), 0);
    allow(&dir.path(""), 0o755);
    let expected = format!("failed to get cache layer with SHA '{}'", id(ONE));
    assert_eq!(as_nobody(|| unreadable(cache)), expected);
    allow(&dir.path("committed"), 0);
    let expected = format!(
        "failed to read cache layer with SHA '{}' due to insufficient permissions",
        id(ONE)
    );
    assert_eq!(as_nobody(|| read(cache, ONE)).unwrap_err(), expected);
    allow(&dir.path("committed"), 0o755);
}

/// Runs as a user who is not root: root opens everything.
fn as_nobody<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                // This thread's alone, which ends here.
                rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(65534)).unwrap();
            }
            run()
        });
        thread.join().unwrap()
    })
}

/// A commit is two renames and a removal; wherever it is killed, the next phase finds a whole cache.
#[test]
fn a_cache_survives_a_killed_commit() {
    let [committed, staging, backup] = ["committed", "staging", "committed-backup"];
    for renames in 0..=2 {
        let dir = Cache::filled();
        let cache = dir.open();
        stage(&cache, b"third");
        cache.stage_metadata(&metadata("second")).unwrap();
        for (from, to) in [(committed, backup), (staging, committed)]
            .iter()
            .take(renames)
        {
            fs::rename(dir.path(from), dir.path(to)).unwrap();
        }
        let cache = dir.open();
        let (state, layer) = if renames < 2 {
            ("first", ONE)
        } else {
            ("second", b"third".as_slice())
        };
        assert_eq!(cache.metadata().unwrap(), metadata(state), "{renames}");
        assert_eq!(read(&cache, layer).unwrap(), layer, "{renames}");
        assert_eq!(dir.names("."), [committed, staging]);
    }
}

#[test]
fn a_commit_that_fails_leaves_the_cache_before() {
    let dir = Cache::filled();
    let cache = dir.open();
    fs::remove_dir(dir.path("staging")).unwrap();
    cache.commit(&metadata("second")).unwrap_err();
    let cache = dir.open();
    assert_eq!(cache.metadata().unwrap(), metadata("first"));
    assert_eq!(read(&cache, TWO).unwrap(), TWO);
}

#[test]
fn links_in_place_of_folders_are_not_followed() {
    let dir = Cache::filled();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "kept").unwrap();
    for name in ["committed", "staging", "committed-backup"] {
        remove(&dir.path(name)).unwrap();
        symlink(outside.path(), dir.path(name)).unwrap();
    }
    let cache = dir.open();
    stage(&cache, ONE);
    cache.commit(&metadata("x")).unwrap();
    assert_eq!(dir.names("."), ["committed"]);
    assert!(is_dir(&dir.path("committed")));
    let kept = fs::read_to_string(outside.path().join("file")).unwrap();
    assert_eq!(kept, "kept");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}
