//! Packages and builders that come from registries and go there, judged by crane and skopeo.

use fs_err as fs;
use layout::{Image, Layout, Selector};
use serde_json::{Value, json};
use tests::fault_proxy::FaultProxy;
use tests::program::{requires, run};
use tests::registry::{PASSWORD, Registry, USER};

use super::{CREATE, Fixture};

/// A registry that is watched, and a fixture that may pull.
fn watched() -> Option<(Registry, FaultProxy, Fixture)> {
    if !(Registry::is_possible() && requires(&["crane", "skopeo"])) {
        return None;
    }
    let (registry, fixture) = (Registry::start(), Fixture::new());
    fixture.write("home/config.toml", "");
    let proxy = FaultProxy::before(&registry.address());
    Some((registry, proxy, fixture))
}

fn crane(what: &str, name: &str) -> Value {
    let text = run("crane", &[what, "--insecure", name]);
    serde_json::from_str(&text).unwrap()
}

/// Returns a label of an image in a registry, which is JSON.
fn label(name: &str, label: &str) -> Value {
    let config = crane("config", name);
    let text = config["config"]["Labels"][label].as_str();
    serde_json::from_str(text.unwrap_or_else(|| panic!("no {label} in {config}"))).unwrap()
}

fn validate(name: &str) {
    run("crane", &["validate", "--insecure", "--remote", name]);
}

impl Fixture {
    fn layout(&self, name: &str) -> Image {
        let image = Layout::at(self.path(name)).image(&Selector::default());
        image.unwrap().unwrap()
    }

    /// Copies the build image to a registry, and forgets where it was.
    fn push_base(&self, name: &str) {
        let to = format!("docker://{name}");
        self.succeeds(&["layout", "copy", "acme/base", &to]);
        fs::remove_dir_all(self.path("home/layout-repo")).unwrap();
    }

    /// Makes `acme/all`, which names `acme/one`; its package.toml has it from there.
    fn composite(&self, one: &str) {
        let order = "[[order]]\n[[order.group]]\nid = \"acme/one\"\nversion = \"1\"\n";
        self.buildpack("all", order);
        let text = format!("[buildpack]\nuri = \".\"\n[[dependencies]]\n{one}\n");
        self.write("all/package.toml", &text);
    }
}

#[test]
fn foreign_a_package_is_published_and_only_what_is_new_is_sent() {
    let Some((registry, proxy, fixture)) = watched() else {
        return;
    };
    let (name, there) = (proxy.name("team/one:1"), registry.name("team/one:1"));
    let package = ["buildpack", "package", "--path", "one"];
    let said = fixture.succeeds(&[&package[..], &[&name, "--publish"]].concat());
    let digest = run("crane", &["digest", "--insecure", &there]);
    assert!(said.contains(digest.trim()), "{said}");
    validate(&there);
    let metadata = label(&there, "io.buildpacks.buildpackage.metadata");
    assert_eq!(metadata["id"], "acme/one");
    assert_eq!(metadata["version"], "1");
    assert_eq!(metadata["stacks"], json!([{"id": "*"}]));
    let config = crane("config", &there);
    assert_eq!(config["os"], "linux");
    let layers = label(&there, "io.buildpacks.buildpack.layers");
    let diff_id = &layers["acme/one"]["1"]["layerDiffID"];
    assert_eq!(config["rootfs"]["diff_ids"], json!([diff_id]));

    // The same image as in a layout, but for the tag that its manifest has there.
    fixture.succeeds(&[&package[..], &["oci:here"]].concat());
    let manifest = crane("manifest", &there);
    let here = fixture.layout("here");
    let config = here.manifest().config.digest.to_string();
    assert_eq!(manifest["config"]["digest"], config);
    assert_eq!(manifest.get("annotations"), None);
    let inspected = run(
        "skopeo",
        &[
            "inspect",
            "--tls-verify=false",
            &format!("docker://{there}"),
        ],
    );
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let layer = here.manifest().layers[0].digest.to_string();
    assert_eq!(inspected["Layers"], json!([layer]));

    let sent = proxy.seen("PATCH", "").len();
    fixture.succeeds(&[&package[..], &[&name, "--publish"]].concat());
    let other = format!("docker://{}", proxy.name("team/one:2"));
    fixture.succeeds(&[&package[..], &[&other]].concat());
    assert_eq!(proxy.seen("PATCH", "").len(), sent, "all is there");
    assert!(
        !fixture
            .path("home/layout-repo")
            .join(proxy.address())
            .exists()
    );
}

#[test]
fn foreign_a_package_of_a_registry_is_a_dependency_and_goes_into_builders() {
    let Some((mut registry, proxy, fixture)) = watched() else {
        return;
    };
    let (one, all) = (proxy.name("one"), proxy.name("team/all:3"));
    fixture.succeeds(&["buildpack", "package", &one, "-p", "one", "--publish"]);
    fixture.write(
        "ext/extension.toml",
        "api = \"0.10\"\n[extension]\nid = \"acme/ext\"\nversion = \"1\"\n",
    );
    fixture.write("ext/package.toml", "[extension]\nuri = \".\"\n");
    let ext = proxy.name("ext:1");
    fixture.succeeds(&["buildpack", "package", &ext, "-p", "ext", "--publish"]);
    // In pack's words of today, in those of old files, and without any.
    for dependency in [
        format!("uri = \"docker://{one}\""),
        format!("image = \"{one}\""),
        format!("uri = \"{one}:latest\""),
    ] {
        fixture.composite(&dependency);
        fixture.succeeds(&["buildpack", "package", &all, "-p", "all", "--publish"]);
        let there = registry.name("team/all:3");
        let layers = label(&there, "io.buildpacks.buildpack.layers");
        assert!(layers["acme/one"]["1"].is_object(), "{layers}");
        assert_eq!(
            layers["acme/all"]["1"]["order"][0]["group"][0]["id"],
            "acme/one"
        );
    }

    fixture.push_base(&registry.name("base"));
    let lifecycle = distribution::lifecycle::Lifecycle::open(
        &fixture.path("programs"),
        &fixture.path("scratch"),
    );
    distribution::lifecycle::write_image(
        &lifecycle.unwrap(),
        &layout::manifest::Platform::host(),
        &Layout::at(fixture.path("lifecycle-image")),
        "latest",
    )
    .unwrap();
    let lifecycle = proxy.name("lifecycle");
    let to = format!("docker://{lifecycle}");
    fixture.succeeds(&["layout", "copy", "oci:lifecycle-image", &to]);
    let base = proxy.name("base");
    fixture.write(
        "builder.toml",
        &format!(
            "[[buildpacks]]\nuri = \"docker://{all}\"\nid = \"acme/all\"\n[[extensions]]\nimage = \"{ext}\"\n\
             [[order]]\n[[order.group]]\nid = \"acme/all\"\n[[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\n\
             [lifecycle]\nuri = \"docker://{lifecycle}\"\n[build]\nimage = \"{base}\"\n[[run.images]]\nimage = \"acme/run\"\n"
        ),
    );
    let builder = proxy.name("team/builder:1");
    fixture.succeeds(&[&CREATE[..], &[&builder, "--publish"]].concat());
    let there = registry.name("team/builder:1");
    validate(&there);
    let order = label(&there, "io.buildpacks.buildpack.order");
    assert_eq!(
        order[0]["group"][0],
        json!({"id": "acme/all", "version": "1"})
    );
    let layers = label(&there, "io.buildpacks.buildpack.layers");
    assert!(layers["acme/one"]["1"].is_object(), "{layers}");
    let layers = label(&there, "io.buildpacks.extension.layers");
    assert!(layers["acme/ext"]["1"].is_object(), "{layers}");
    // What it is made from never came here.
    let base_layer = &crane("manifest", &registry.name("base"))["layers"][0]["digest"];
    let base_layer = base_layer.as_str().unwrap();
    assert_eq!(crane("manifest", &there)["layers"][0]["digest"], base_layer);
    assert!(proxy.seen("GET", base_layer).is_empty());
    let seen = fixture.succeeds(&["builder", "inspect", &builder]);
    assert!(seen.contains("└ acme/one@1"), "{seen}");

    // What was pulled is here, for whoever asks nobody.
    fixture.succeeds(&[&CREATE[..], &["oci:here"]].concat());
    registry.stop();
    let never = ["oci:again", "--pull-policy", "never"];
    fixture.succeeds(&[&CREATE[..], &never].concat());
    let (here, again) = (fixture.layout("here"), fixture.layout("again"));
    assert_eq!(here.digest(), again.digest());
    let always = ["oci:again", "--pull-policy", "always"];
    fixture.fails(&[&CREATE[..], &always].concat(), &proxy.address());
}

#[test]
fn an_image_that_is_not_to_be_had_is_named_with_a_way_out() {
    let Some((registry, _, fixture)) = watched() else {
        return;
    };
    let package = ["buildpack", "package", "oci:out", "-p", "all"];
    let never = [&package[..], &["--pull-policy", "never"]].concat();
    let absent = registry.name("absent");
    let hint = format!("slipway layout copy oci:DIR {absent}");
    for (dependency, args, expected) in [
        (
            format!("docker://{absent}"),
            &package[..],
            "there is no image",
        ),
        (absent.clone(), &package[..], hint.as_str()),
        (absent.clone(), &never[..], hint.as_str()),
        (
            absent.clone(),
            &never[..],
            "slipway config pull-policy if-not-present",
        ),
        (
            "urn:cnb:registry:acme/one@1".to_owned(),
            &package[..],
            "buildpack registries are not supported yet",
        ),
        (
            "acme/none".to_owned(),
            &package[..],
            "put docker:// in front of it",
        ),
        (
            "acme/none@1.0".to_owned(),
            &package[..],
            "buildpack registries, where pack looks",
        ),
        (
            "No such".to_owned(),
            &package[..],
            "it is no name of an image",
        ),
    ] {
        fixture.composite(&format!("uri = \"{dependency}\""));
        fixture.fails(args, expected);
    }
    assert!(!fixture.path("out").join("index.json").exists());

    // A package in the layout repo has its name there, whatever pack would take that for.
    fixture.succeeds(&["buildpack", "package", "acme/none", "-p", "one"]);
    fixture.composite("uri = \"acme/none\"");
    fixture.succeeds(&package);
    // No package.
    fixture.push_base(&registry.name("base"));
    fixture.composite(&format!("uri = \"{}\"", registry.name("base")));
    fixture.fails(&package, "is no buildpackage");
}

#[test]
fn registries_of_packages_are_shown_who_asks_and_checked_who_they_are() {
    if !Registry::is_possible() {
        return;
    }
    let fixture = Fixture::new();
    fixture.write("home/config.toml", "");
    let registry = Registry::with_password();
    let one = registry.name("one");
    let publish = |env: &[(&str, &str)], more: &[&str]| {
        let args = ["buildpack", "package", "-p", "one", "--publish"];
        let output = fixture.run_with(env, &[&args[..], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (is_ok, said) = publish(&[("DOCKER_CONFIG", "/nowhere")], &[&one]);
    let needles = ["401", &registry.address(), "could not be written"];
    assert!(
        !is_ok && needles.iter().all(|it| said.contains(it)),
        "{said}"
    );
    let helper = fixture.path("docker-credential-test");
    let answer = json!({"Username": USER, "Secret": PASSWORD});
    fixture.write(
        "docker-credential-test",
        &format!("#!/bin/sh\ncat >/dev/null\necho '{answer}'\n"),
    );
    run("chmod", &["+x", &helper.display().to_string()]);
    let helpers = json!({"credHelpers": {registry.address(): "test"}});
    fixture.write("docker/config.json", &helpers.to_string());
    let path = format!("{}:/usr/bin:/bin", fixture.path("").display());
    let docker = fixture.path("docker").display().to_string();
    let env = [("DOCKER_CONFIG", docker.as_str()), ("PATH", path.as_str())];
    assert_eq!(publish(&env, &[&one]), (true, String::new()));
    fixture.composite(&format!("uri = \"docker://{one}\""));
    let package = ["buildpack", "package", "oci:out", "-p", "all"];
    fixture.fails(&package, "401");
    assert!(fixture.run_with(&env, &package).status.success());

    let registry = Registry::with_tls();
    let one = registry.name("one");
    let nobody = [("SSL_CERT_DIR", "/nowhere")];
    assert!(!publish(&nobody, &[&one]).0);
    let address = registry.address();
    let insecure = ["--insecure-registry", &address];
    let (is_ok, said) = publish(&nobody, &[&[one.as_str()][..], &insecure].concat());
    assert!(is_ok, "{said}");
    // By another name, which settings lead here.
    let mirror = format!("[registry-mirrors]\n\"registry.invalid\" = \"{address}\"\n");
    fixture.write("home/config.toml", &mirror);
    fixture.composite("uri = \"docker://registry.invalid/one\"");
    fixture.fails(&package, &address);
    fixture.succeeds(&[&package[..], &insecure].concat());
    let place = fixture.path("home/layout-repo/registry.invalid/one/latest/index.json");
    assert!(place.is_file());
}
