use std::collections::BTreeMap;

use distribution::labels::{LayerInfo, Layers};
use layout::DiffId;
use layout::digest::sha256;

use super::*;

/// A builder with two groups; `a/x` is there in two versions, `a/ext` is an extension.
fn builder() -> Builder {
    let info = || LayerInfo {
        api: "0.10".to_owned(),
        stacks: Vec::new(),
        targets: Vec::new(),
        order: Vec::new(),
        layer_diff_id: DiffId(sha256(b"")),
        homepage: String::new(),
        name: String::new(),
    };
    let layers = |all: &[(&str, &[&str])]| -> Layers {
        let all = all.iter();
        all.map(|(id, versions)| {
            let versions = versions.iter();
            let versions: BTreeMap<_, _> = versions.map(|it| ((*it).to_owned(), info())).collect();
            ((*id).to_owned(), versions)
        })
        .collect()
    };
    Builder {
        order: vec![group(&["a/x@1"]), group(&["a/y@1", "a/x@2"])],
        order_extensions: vec![group(&["a/ext@1"])],
        buildpack_layers: layers(&[("a/x", &["1", "2"]), ("a/y", &["1"])]),
        extension_layers: layers(&[("a/ext", &["1"])]),
        ..Builder::default()
    }
}

fn group(labels: &[&str]) -> Group {
    let elements = labels.iter().map(|label| {
        let (id, version) = label.split_once('@').unwrap();
        reference(id, version)
    });
    Group {
        group: elements.collect(),
    }
}

fn wishes(locations: &[&str]) -> Vec<Wish> {
    let locations = locations.iter();
    locations
        .map(|it| Wish::At((*it).to_owned(), "/nowhere".into()))
        .collect()
}

/// There are none.
#[derive(Debug)]
struct NoImages;

impl Images for NoImages {
    fn is_here(&self, _: &str) -> bool {
        false
    }

    fn open(&self, name: &str) -> anyhow::Result<layout::Image> {
        bail!("there is no image {name}")
    }
}

fn order(wishes: &Wishes) -> anyhow::Result<Order> {
    let scratch = tempfile::tempdir().unwrap();
    Order::new(wishes, &builder(), scratch.path(), &NoImages)
}

#[test]
fn without_a_wish_the_builder_s_order_is_left_alone() {
    let order = order(&Wishes::default()).unwrap();
    assert!(!order.is_own && !order.brings_modules() && order.has_extensions());
    assert_eq!(order.groups, builder().order);
}

#[test]
fn pre_and_post_stand_around_every_group() {
    let order = order(&Wishes {
        pre: wishes(&["urn:cnb:builder:a/y"]),
        post: wishes(&["a/x@2", "a/y@1"]),
        ..Wishes::default()
    });
    let expected = [
        group(&["a/y@1", "a/x@1", "a/x@2", "a/y@1"]),
        group(&["a/y@1", "a/y@1", "a/x@2", "a/x@2", "a/y@1"]),
    ];
    let order = order.unwrap();
    assert!(order.is_own);
    assert_eq!(order.groups, expected);
}

#[test]
fn buildpacks_replace_the_order_and_may_hold_it() {
    let of = |locations: &[&str]| {
        let wishes = Wishes {
            buildpacks: wishes(locations),
            ..Wishes::default()
        };
        order(&wishes).unwrap().groups
    };
    assert_eq!(of(&["a/x@2", "a/y"]), [group(&["a/x@2", "a/y@1"])]);
    assert_eq!(of(&["from=builder"]), builder().order);
    assert_eq!(
        of(&["a/y@1", "from=builder", "a/x@1"]),
        [
            group(&["a/y@1", "a/x@1", "a/x@1"]),
            group(&["a/y@1", "a/y@1", "a/x@2", "a/x@1"]),
        ]
    );
}

#[test]
fn a_buildpack_of_the_user_s_own_is_brought_along_and_an_order_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own");
    fs_err::create_dir(&own).unwrap();
    let descriptor = "api = \"0.10\"\n[buildpack]\nid = \"me/own\"\nversion = \"3\"\n";
    fs_err::write(own.join("buildpack.toml"), descriptor).unwrap();
    let wishes = Wishes {
        buildpacks: vec![Wish::At("own".to_owned(), dir.path().to_owned())],
        ..Wishes::default()
    };
    let order = Order::new(&wishes, &builder(), dir.path(), &NoImages).unwrap();
    let mounts = order.mounts(dir.path()).unwrap();
    let targets: Vec<_> = mounts
        .iter()
        .map(|mount| match mount {
            Mount::Bind { target, .. } | Mount::Tmpfs { target, .. } => target.clone(),
        })
        .collect();
    assert_eq!(
        targets,
        [
            Path::new("/cnb/buildpacks/me_own/3"),
            Path::new("/cnb/order.toml")
        ]
    );
    let written: buildpack::order::Order =
        buildpack::decode::from_file(&dir.path().join("order.toml")).unwrap();
    assert_eq!(written.order[0].group[0].label(), "me/own@3");
    assert_eq!(written.order_extensions[0].group[0].label(), "a/ext@1");
}

#[test]
fn without_a_version_the_newest_is_meant() {
    for (versions, expected) in [
        (&["anything"][..], Some("anything")),
        (&["1.10.0", "1.9.0", "1.2.3"], Some("1.10.0")),
        (&["2.0.0-rc.1", "1.0.0"], Some("2.0.0-rc.1")),
        (&["1.0.0", "1.0.0-rc.1"], Some("1.0.0")),
        (&["1", "2"], None),
        (&[], None),
    ] {
        assert_eq!(newest(versions), expected, "{versions:?}");
    }
}

#[test]
fn what_the_builder_lacks_is_said() {
    for (wish, needles) in [
        ("urn:cnb:builder:a/z", ["no buildpack \"a/z\"", "a/x, a/y"]),
        ("urn:cnb:builder:a/x", ["other versions: 1, 2", "a/x@1"]), // 1 and 2 are no semantic versions
        ("urn:cnb:builder:a/x@9", ["other versions: 1, 2", "a/x@1"]),
        ("./absent", ["failed to open buildpack", "./absent"]),
    ] {
        let error = order(&Wishes {
            buildpacks: wishes(&[wish]),
            ..Wishes::default()
        });
        let text = format!("{:#}", error.unwrap_err());
        assert!(needles.iter().all(|it| text.contains(it)), "{wish}: {text}");
    }
    let error = order(&Wishes {
        pre: wishes(&["from=builder"]),
        ..Wishes::default()
    });
    assert!(error.unwrap_err().to_string().contains("whole order"));
}
