//! Pulls that go wrong: an error, nothing of the image in the layout repo, and another try that goes on where it stopped.

use std::path::PathBuf;

use tests::fault_proxy::{Fault, FaultProxy};
use tests::program::{requires, requires_root, run};
use tests::registry::Registry;

use crate::kit::{Site, large_image, open};

/// More than what registry and client keep in their buffers, and than what is tried again without end.
const SIZE: usize = 6 << 20;

struct Scene {
    registry: Registry,
    proxy: FaultProxy,
    site: Site,
}

impl Scene {
    /// A registry with a large image, and a proxy before it; none where there is no registry.
    fn new() -> Option<Self> {
        if !Registry::is_possible() {
            return None;
        }
        let (registry, site) = (Registry::start(), Site::new());
        let proxy = FaultProxy::before(&registry.address());
        large_image(&site.path("large"), SIZE, 42);
        site.push("oci:large", &registry.name("large"));
        Some(Self {
            registry,
            proxy,
            site,
        })
    }

    fn pull(&self) -> crate::kit::Ran {
        let name = self.proxy.name("large");
        self.site.slipway(&["layout", "copy", &name, "oci:copy"])
    }

    /// Orders a fault for the layer, as often as it is asked for.
    fn fail(&self, fault: Fault, times: usize) {
        // The config comes first, and by the same path: only the layer is large enough for some faults.
        self.proxy.fail("GET", self.layer(), fault, times);
    }

    fn layer(&self) -> &'static str {
        let image = open(&self.site.path("large"));
        let digest = image.manifest().layers[0].digest.to_string();
        digest.leak()
    }

    /// Returns what parts of the layer were asked for.
    fn ranges(&self) -> Vec<Option<String>> {
        let seen = self.proxy.seen("GET", self.layer());
        seen.into_iter().map(|it| it.range).collect()
    }

    fn repo(&self) -> PathBuf {
        let path = format!("home/layout-repo/{}", self.proxy.address());
        self.site.path(&path)
    }

    fn nothing_is_there(&self) {
        assert!(!self.repo().exists(), "no part of an image is one");
        assert!(!self.site.path("copy").exists());
    }

    fn all_is_there(&self) {
        let pulled = open(&self.repo().join("large/latest"));
        assert_eq!(pulled.digest(), open(&self.site.path("large")).digest());
        self.site.slipway(&["layout", "verify", "copy"]).ok();
    }

    /// Returns the bytes that wait for another try.
    fn waiting(&self) -> u64 {
        let pulls = self.site.path("home/layout-repo/.slipway/pulls");
        let files = fs_err::read_dir(pulls).unwrap();
        files.map(|it| it.unwrap().metadata().unwrap().len()).sum()
    }
}

#[test]
fn a_pull_that_broke_off_goes_on_at_the_next_try() {
    let Some(scene) = Scene::new() else { return };
    // Less than what makes a client forget the failures before, each time.
    scene.fail(Fault::ResetAnswer(600_000), 100);
    scene
        .pull()
        .fails_with(&["failed to pull", &scene.proxy.address(), "large"]);
    scene.nothing_is_there();
    let tries = scene.ranges().len();
    let kept = scene.waiting();
    assert!(kept > 0);

    let again = FaultProxy::before(&scene.registry.address());
    let name = again.name("large");
    scene
        .site
        .slipway(&["layout", "copy", &name, "oci:copy"])
        .ok();
    let seen = again.seen("GET", scene.layer());
    let ranges: Vec<_> = seen.into_iter().map(|it| it.range).collect();
    assert_eq!(ranges, [Some(format!("bytes={kept}-"))]);
    assert!(tries > 1, "it was tried more than once");
    scene.site.slipway(&["layout", "verify", "copy"]).ok();
}

#[test]
fn a_killed_pull_goes_on_at_the_next_one() {
    let Some(scene) = Scene::new() else { return };
    scene.fail(
        Fault::Slow(64 << 10, std::time::Duration::from_millis(50)),
        1,
    );
    let name = scene.proxy.name("large");
    let mut child = scene.site.start(&["layout", "copy", &name, "oci:copy"]);
    let pulls = scene.site.path("home/layout-repo/.slipway/pulls");
    let begin = std::time::Instant::now();
    while !pulls.exists() || scene.waiting() < 300_000 {
        assert!(begin.elapsed().as_secs() < 60, "nothing comes");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    scene.nothing_is_there();
    let kept = scene.waiting();
    scene.pull().ok();
    assert_eq!(
        scene.ranges(),
        [None, Some(format!("bytes={kept}-"))],
        "what had come was not fetched again"
    );
    scene.all_is_there();
}

#[test]
fn bytes_that_are_not_the_layer_s_are_no_layer() {
    let Some(scene) = Scene::new() else { return };
    scene.fail(Fault::Corrupt, 1);
    let layer = scene.layer();
    scene.pull().fails_with(&["is damaged", layer]);
    scene.nothing_is_there();
    scene.pull().ok();
    assert_eq!(
        scene.ranges(),
        [None, None],
        "nothing wrong is gone on with"
    );
    scene.all_is_there();
}

#[test]
fn what_was_left_and_is_damaged_is_fetched_anew() {
    let Some(scene) = Scene::new() else { return };
    let pulls = scene.site.path("home/layout-repo/.slipway/pulls");
    fs_err::create_dir_all(&pulls).unwrap();
    let file = pulls.join(scene.layer().replace(':', "-"));
    fs_err::write(&file, vec![0; 1000]).unwrap();
    scene.pull().ok();
    let ranges = [Some("bytes=1000-".to_owned()), None];
    assert_eq!(scene.ranges(), ranges);
    scene.all_is_there();
}

#[test]
fn a_short_answer_is_gone_on_with_at_once() {
    let Some(scene) = Scene::new() else { return };
    scene.fail(Fault::CutAnswer(2 << 20), 1);
    scene.pull().ok();
    let ranges = scene.ranges();
    assert_eq!(ranges.len(), 2);
    assert!(
        ranges[1]
            .as_ref()
            .is_some_and(|it| it.starts_with("bytes="))
    );
    scene.all_is_there();
}

#[test]
fn two_pulls_of_the_same_layers_fetch_them_once() {
    let Some(scene) = Scene::new() else { return };
    scene.fail(
        Fault::Slow(256 << 10, std::time::Duration::from_millis(20)),
        1,
    );
    let name = scene.proxy.name("large");
    let copies = ["oci:copy", "oci:copy2", "oci:copy3"];
    let mut children: Vec<_> = copies
        .iter()
        .map(|to| scene.site.start(&["layout", "copy", &name, to]))
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(scene.ranges().len(), 1);
    scene.all_is_there();
}

/// A small file system, gone when it is dropped.
struct Small(PathBuf);

impl Small {
    fn at(path: PathBuf) -> Self {
        fs_err::create_dir_all(&path).unwrap();
        let small = Self(path);
        let options = format!("size={}", SIZE / 2);
        let path = small.0.display().to_string();
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs", &path]);
        small
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        run("umount", &[&self.0.display().to_string()]);
    }
}

#[test]
fn root_a_disk_that_fills_is_said_and_room_is_all_that_it_needs() {
    if !requires_root() || !requires(&["mount", "umount"]) {
        return;
    }
    let Some(scene) = Scene::new() else { return };
    let small = Small::at(scene.site.path("home"));
    scene.pull().fails_with(&["No space left on device"]);
    scene.nothing_is_there();
    let kept = scene.waiting();
    assert!(kept > 0);
    let path = small.0.display().to_string();
    run("mount", &["-o", "remount,size=64m", &path]);
    scene.pull().ok();
    assert_eq!(scene.ranges(), [None, Some(format!("bytes={kept}-"))]);
    scene.all_is_there();
    drop(small);
}
