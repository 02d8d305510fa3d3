use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use layout::digest::sha256;
use layout::{Layout, Selector};
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::container::User;
use crate::ids::{IdMaps, Range};

/// A layout with an image of these tars, and a place for its layers.
struct World {
    dir: TempDir,
    image: Image,
}

impl World {
    fn new(layers: &[Vec<u8>]) -> Self {
        let dir = TempDir::new().unwrap();
        let image = write_image(&dir.path().join("image"), layers);
        Self { dir, image }
    }

    fn store(&self) -> Unpacked {
        Unpacked::at(self.path("store"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn layers(&self) -> Result<Vec<PathBuf>, Error> {
        self.store().layers(&self.image, &one(), &mut |_| ())
    }

    /// Where a layer is, or something beside it.
    fn layer(&self, number: usize, prefix: &str) -> PathBuf {
        let diff_id = &self.image.diff_ids()[number].0;
        let (whose, hex) = (folder::whose(&one()), diff_id.digest());
        self.path(&format!("store/{whose}/sha256/{prefix}{hex}"))
    }

    /// The names beside the layers.
    fn names(&self) -> Vec<String> {
        let dir = self.layer(0, "").parent().unwrap().to_path_buf();
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn blob(&self, number: usize) -> PathBuf {
        let digest = self.image.manifest().layers[number]
            .digest
            .digest()
            .to_owned();
        self.path("image/blobs/sha256").join(digest)
    }
}

fn one() -> Way {
    Way::OneId(IdMaps::one(User {
        uid: 1000,
        gid: 1000,
    }))
}

fn write_image(layout: &Path, layers: &[Vec<u8>]) -> Image {
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(layout.join("blobs/sha256").join(digest.digest()), bytes).unwrap();
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "size": bytes.len(), "digest": digest})
    };
    let diff_ids: Vec<_> = layers.iter().map(|tar| sha256(tar)).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = blob("config.v1+json", config.to_string().as_bytes());
    let layers: Vec<_> = layers
        .iter()
        .map(|tar| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(tar).unwrap();
            blob("layer.v1.tar+gzip", &gzip.finish().unwrap())
        })
        .collect();
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers});
    let manifest = blob("manifest.v1+json", manifest.to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    Layout::at(layout)
        .image(&Selector::default())
        .unwrap()
        .unwrap()
}

/// A tar of files, each with its owner and mode; a name with a slash at its end is a directory.
fn tar(entries: &[(&str, &str, u64, u32)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for &(name, content, owner, mode) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        builder
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

fn file(name: &str, content: &str) -> Vec<u8> {
    tar(&[(name, content, 0, 0o644)])
}

/// Returns an error with its causes.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |it| it.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn layers_are_unpacked_once_base_first() {
    let world = World::new(&[file("f", "base"), file("f", "top")]);
    let mut steps = Vec::new();
    let mut progress = |Progress::Begin { number, of, size }| steps.push((number, of, size));
    let store = world.store();
    let layers = store.layers(&world.image, &one(), &mut progress).unwrap();
    let texts: Vec<_> = layers
        .iter()
        .map(|it| fs::read_to_string(it.join("f")).unwrap())
        .collect();
    assert_eq!(texts, ["base", "top"]);
    assert_eq!(layers, [world.layer(0, ""), world.layer(1, "")]);
    steps.sort_unstable();
    let sizes: Vec<_> = world
        .image
        .manifest()
        .layers
        .iter()
        .map(|it| it.size)
        .collect();
    assert_eq!(steps, [(1, 2, sizes[0]), (2, 2, sizes[1])]);

    let inode = fs::metadata(&layers[0]).unwrap().ino();
    let mut progress = |step| panic!("{step:?}");
    assert_eq!(
        store.layers(&world.image, &one(), &mut progress).unwrap(),
        layers
    );
    assert_eq!(fs::metadata(&layers[0]).unwrap().ino(), inode);
    assert_eq!(
        world.names().len(),
        2,
        "nothing but layers: {:?}",
        world.names()
    );
}

#[test]
fn only_a_missing_layer_is_unpacked() {
    let world = World::new(&[file("f", "base"), file("f", "middle"), file("f", "top")]);
    world.layers().unwrap();
    layout::layer::remove(&world.layer(1, "")).unwrap();
    let mut steps = Vec::new();
    let mut progress = |Progress::Begin { number, of, .. }| steps.push((number, of));
    let layers = world
        .store()
        .layers(&world.image, &one(), &mut progress)
        .unwrap();
    assert_eq!(steps, [(1, 1)]);
    assert_eq!(fs::read_to_string(layers[1].join("f")).unwrap(), "middle");
}

#[test]
fn a_layer_that_comes_twice_counts_where_it_is_above() {
    let (a, b) = (file("a", ""), file("b", ""));
    let world = World::new(&[a.clone(), b, a]);
    let layers = world.layers().unwrap();
    assert_eq!(layers, [world.layer(1, ""), world.layer(2, "")]);
}

#[test]
fn nothing_counts_below_a_layer_that_hides_all() {
    let world = World::new(&[file("a", ""), file(".wh..wh..opq", ""), file("c", "")]);
    let layers = world.layers().unwrap();
    assert_eq!(layers, [world.layer(1, ""), world.layer(2, "")]);
}

#[test]
fn nobody_else_reaches_what_is_unpacked() {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let world = World::new(&[tar(&[("./", "", 0, 0o755), ("su", "", 0, 0o4755)])]);
    let layers = world.layers().unwrap();
    assert_eq!(mode(&layers[0].join("su")), 0o4755);
    assert_eq!(mode(&layers[0]), 0o755);
    let above: Vec<_> = layers[0].ancestors().skip(1).take(2).collect();
    for dir in &above {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
        fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::remove_dir_all(&layers[0]).unwrap();
    world.layers().unwrap();
    for dir in &above {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
}

#[test]
fn what_somebody_else_could_have_put_there_is_not_used() {
    let world = World::new(&[file("f", "")]);
    let whose = world.path("store").join(folder::whose(&one()));
    fs::create_dir_all(world.path("elsewhere")).unwrap();
    fs::create_dir_all(world.path("store")).unwrap();
    std::os::unix::fs::symlink(world.path("elsewhere"), &whose).unwrap();
    assert!(matches!(world.layers(), Err(Error::NotOwn(path)) if path == whose));
    fs::remove_file(&whose).unwrap();
    fs::write(&whose, "").unwrap();
    assert!(matches!(world.layers(), Err(Error::NotOwn(_))));
    fs::remove_file(&whose).unwrap();
    if is_root() {
        fs::create_dir(&whose).unwrap();
        std::os::unix::fs::chown(&whose, Some(65_534), None).unwrap();
        assert!(matches!(world.layers(), Err(Error::NotOwn(_))));
        fs::remove_dir(&whose).unwrap();
    }
    world.layers().unwrap();
}

#[test]
fn root_owners_are_the_image_s() {
    if !is_root() {
        // The way is closed to others; containers' tests say so where it should be open.
        return;
    }
    let world = World::new(&[tar(&[("d/", "", 7, 0o500), ("d/su", "", 5, 0o4711)])]);
    let layers = world
        .store()
        .layers(&world.image, &Way::Root, &mut |_| ())
        .unwrap();
    assert!(layers[0].starts_with(world.path("store/root/sha256")));
    for (name, owner, mode) in [("", 0, 0o755), ("d", 7, 0o500), ("d/su", 5, 0o4711)] {
        let metadata = fs::metadata(layers[0].join(name)).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o7777),
            (owner, mode),
            "{name}"
        );
    }
}

#[test]
fn a_layer_that_is_not_what_the_image_says_is_none() {
    let world = World::new(&[file("f", "one"), file("f", "two")]);
    let other = World::new(&[file("f", "ONE"), file("f", "two")]);
    let whole = fs::read(world.blob(0)).unwrap();
    let same_size = fs::read(other.blob(0)).unwrap();
    assert_eq!(whole.len(), same_size.len());
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for blob in [same_size, damaged] {
        fs::remove_file(world.blob(0)).unwrap();
        fs::write(world.blob(0), &blob).unwrap();
        let error = world.layers().unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains(&world.image.diff_ids()[0].to_string()),
            "{text}"
        );
        assert!(!world.layer(0, "").exists());
        let left: Vec<_> = world
            .names()
            .into_iter()
            .filter(|it| it.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    fs::write(world.blob(0), &whole).unwrap();
    world.layers().unwrap();
}

#[test]
fn a_sparse_image_is_said_to_be_one() {
    let world = World::new(&[file("f", "one"), file("f", "two")]);
    fs::remove_file(world.blob(1)).unwrap();
    let error = world.layers().unwrap_err();
    assert!(matches!(error, Error::Absent { .. }), "{error}");
    assert!(error.to_string().contains("sparse"), "{error}");
}

#[test]
fn a_hostile_layer_is_named_and_leaves_nothing() {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..7].copy_from_slice(b"../evil");
    header.set_size(0);
    header.set_cksum();
    let mut evil = header.as_bytes().to_vec();
    evil.resize(2048, 0);
    let world = World::new(&[evil]);
    let text = chain(&world.layers().unwrap_err());
    for part in [&world.image.diff_ids()[0].to_string(), "../evil"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(world.names().is_empty(), "{:?}", world.names());
}

#[test]
fn bombs_end_before_the_disk_is_full() {
    let limits = Limits {
        bytes: 100_000,
        ratio: 10,
        entries: 20,
    };
    let zeros = "\0".repeat(1_000_000);
    let mut seed = 1_u64;
    let noise: String = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(33 + u8::try_from(seed >> 58).unwrap())
    })
    .take(200_000)
    .collect();
    let names: Vec<_> = (0..30).map(|it| it.to_string()).collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "", 0, 0o644))
        .collect();
    for (what, layer, error) in [
        ("zeros", file("f", &zeros), Some("more than 100000 bytes")),
        ("files", tar(&many), Some("more than 20 files")),
        ("less", file("f", &zeros[..90_000]), None),
        // More than the bytes that any may have, but not for what it is compressed.
        ("noise", file("f", &noise), None),
    ] {
        let world = World::new(&[layer]);
        let store = world.store().with_limits(limits);
        let unpacked = store.layers(&world.image, &one(), &mut |_| ());
        match (unpacked, error) {
            (Ok(_), None) => {}
            (Err(found), Some(text)) => {
                let found = chain(&found);
                assert!(found.contains(text), "{what}: {found}");
                assert!(world.names().is_empty(), "{what}");
            }
            (unpacked, _) => panic!("{what}: {unpacked:?}"),
        }
    }
}

#[test]
fn layers_that_are_unpacked_at_once_share_what_is_free() {
    let all = Limits {
        bytes: u64::MAX,
        ratio: 1,
        entries: u64::MAX,
    };
    let dir = TempDir::new().unwrap();
    let bytes = |at_once| folder::within(&all, 1, dir.path(), at_once).unwrap().bytes;
    let disk = rustix::fs::statvfs(dir.path()).unwrap();
    let free = disk.f_bavail * disk.f_frsize;
    // Others use the disk too.
    assert!(bytes(1) > free / 2 && bytes(1) < free);
    assert!(bytes(10) < free / 5);
    assert_eq!(bytes(usize::MAX), 0);
}

#[test]
fn two_at_once_share_the_work() {
    let layers: Vec<_> = (0..6)
        .map(|it| file("f", &it.to_string().repeat(100_000)))
        .collect();
    let world = World::new(&layers);
    let begin = Barrier::new(4);
    let inodes = std::thread::scope(|scope| {
        let run = || {
            begin.wait();
            let layers = world.layers().unwrap();
            layers
                .iter()
                .map(|it| fs::metadata(it).unwrap().ino())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(inodes.iter().all(|it| *it == inodes[0]), "{inodes:?}");
    assert_eq!(world.names().len(), 6, "{:?}", world.names());
}

#[test]
fn what_a_killed_one_left_is_cleared() {
    let world = World::new(&[file("f", "one"), file("f", "two")]);
    world.layers().unwrap();
    fs::remove_dir_all(world.layer(1, "")).unwrap();
    // Of the layer that is wanted, and of one that nobody wants any more.
    for left in [world.layer(1, ".tmp-"), world.layer(0, ".tmp-0")] {
        fs::create_dir_all(left.join("d/e")).unwrap();
        fs::write(left.join("f"), "half").unwrap();
        fs::set_permissions(left.join("d"), std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    fs::write(world.layer(1, ".lock-"), "").unwrap();
    let layers = world.layers().unwrap();
    assert_eq!(fs::read_to_string(layers[1].join("f")).unwrap(), "two");
    assert!(!layers[1].join("d").exists());
    assert_eq!(world.names().len(), 2, "{:?}", world.names());
}

#[test]
fn what_is_being_written_is_waited_for_and_not_cleared() {
    let world = World::new(&[file("f", "one"), file("f", "two")]);
    world.layers().unwrap();
    fs::remove_dir_all(world.layer(0, "")).unwrap();
    // Somebody else writes both: the one that is missing, and one that is none of ours.
    let ours = lock::Writer::begin(&world.layer(0, ".lock-")).unwrap();
    let theirs = lock::Writer::begin(&world.layer(1, ".lock-0")).unwrap();
    let temporary = world.layer(1, ".tmp-0");
    fs::create_dir(&temporary).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| world.layers());
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!waiting.is_finished());
        fs::create_dir(world.layer(0, "")).unwrap();
        fs::write(world.layer(0, "").join("f"), "theirs").unwrap();
        drop(ours);
        let layers = waiting.join().unwrap().unwrap();
        assert_eq!(fs::read_to_string(layers[0].join("f")).unwrap(), "theirs");
    });
    assert!(temporary.exists());
    drop(theirs);
}

#[test]
fn unused_layers_are_removed_unless_somebody_uses_layers() {
    let world = World::new(&[
        file("f", "one"),
        tar(&[("d/", "", 0, 0o500), ("d/f", "two", 0, 0)]),
        file("f", "three"),
    ]);
    let [one_id, two, three] = world.image.diff_ids() else {
        panic!()
    };
    let store = world.store();
    store.layers(&world.image, &one(), &mut |_| ()).unwrap();
    let copy = store.clone();
    drop(store);
    let used = HashSet::from([one_id.clone()]);
    let gc = || world.store().remove_unused(&used, &one());
    assert!(matches!(gc(), Err(Error::InUse(_))));
    assert!(world.layer(1, "").exists());
    drop(copy);
    fs::create_dir(world.layer(0, ".tmp-0")).unwrap();
    let mut removed = gc().unwrap();
    let mut expected = vec![two.clone(), three.clone()];
    removed.sort_by_key(ToString::to_string);
    expected.sort_by_key(ToString::to_string);
    assert_eq!(removed, expected);
    assert_eq!(world.names(), [one_id.0.digest()]);
    assert!(gc().unwrap().is_empty());
    // Where nothing was ever unpacked there is nothing to remove.
    let nowhere = Unpacked::at(world.path("nowhere"));
    assert!(nowhere.remove_unused(&used, &one()).unwrap().is_empty());
    assert!(!world.path("nowhere").exists());
}

#[test]
fn folders_of_other_ids_stay() {
    let world = World::new(&[file("f", "")]);
    world.layers().unwrap();
    let other = world
        .path("store/ids-0123456789abcdef/sha256")
        .join("0".repeat(64));
    fs::create_dir_all(&other).unwrap();
    fs::create_dir_all(world.path("store/some/thing")).unwrap();
    world
        .store()
        .remove_unused(&HashSet::new(), &one())
        .unwrap();
    assert!(!world.layer(0, "").exists());
    assert!(other.exists() && world.path("store/some/thing").exists());
}

#[test]
fn each_set_of_ids_has_a_name_of_its_own() {
    let range = |inside, outside, count| Range {
        inside,
        outside,
        count,
    };
    let many = |uids: &[Range], gids: &[Range]| {
        folder::whose(&Way::ManyIds(IdMaps {
            uids: uids.to_vec(),
            gids: gids.to_vec(),
        }))
    };
    let (a, b) = (range(0, 100_000, 1000), range(1000, 1000, 1));
    let name = many(&[a, b], &[a, b]);
    assert!(name.starts_with("ids-") && name.len() == 20, "{name}");
    assert_eq!(many(&[b, a], &[a, b]), name, "the order says nothing");
    for other in [many(&[a], &[a, b]), many(&[a, b], &[a]), many(&[], &[])] {
        assert_ne!(other, name);
    }
    assert_eq!(folder::whose(&Way::Root), "root");
    let ids = format!("id-{}-{}", nix::unistd::geteuid(), nix::unistd::getegid());
    assert_eq!(folder::whose(&one()), ids);
}

/// The kernel's overlay is the judge of what whiteouts mean.
#[test]
fn root_an_overlay_shows_what_the_image_means() {
    if !is_root() {
        return;
    }
    let file = |name| (name, "", 0, 0o644);
    let world = World::new(&[
        tar(&[
            file("gone"),
            file("kept"),
            file("dir/old"),
            file("again/old"),
            file("opaque/old"),
            file("both/old"),
        ]),
        tar(&[
            file(".wh.gone"),
            file(".wh.dir"),
            file(".wh.again"),
            file("again/new"),
            file("opaque/new"),
            file("opaque/.wh..wh..opq"),
            file("both/new"),
        ]),
    ]);
    let layers = world
        .store()
        .layers(&world.image, &Way::Root, &mut |_| ())
        .unwrap();
    let script = "mount -t overlay overlay -o lowerdir=$2:$1 $3 && cd $3 && find . -type f | sort";
    fs::create_dir(world.path("mount")).unwrap();
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .args(&layers)
        .arg(world.path("mount"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    let found: Vec<_> = text.lines().collect();
    assert_eq!(
        found,
        [
            "./again/new",
            "./both/new",
            "./both/old",
            "./kept",
            "./opaque/new"
        ]
    );
}
