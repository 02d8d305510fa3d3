//! What the restorer keeps of images in registries for who extends them.

use super::*;

/// A root with `/kaniko` of its own; prints what is kept there, with owner.
const IN_A_ROOT_OF_ITS_OWN: &str = r#"
root=$1; shift
mount -t tmpfs tmpfs "$root"
for dir in bin lib lib64 usr etc dev proc tmp; do
  [ -e /$dir ] || continue
  if [ -L /$dir ]; then cp -a /$dir "$root/"; continue; fi
  mkdir "$root/$dir"; mount --rbind /$dir "$root/$dir"
done
chroot "$root" "$@"
cd "$root"; find kaniko -name index.json
"#;

fn restore(site: &Site, api: &str, args: &[&str]) -> Ran {
    let root = site.build.path("root");
    fs::create_dir_all(&root).unwrap();
    let restorer = site.at(api, "restorer", args);
    let program = tests::program::ours_in("restorer", &site.build.path("bin"));
    let mut command = Command::new("unshare");
    command
        .args(["-m", "bash", "-euc", IN_A_ROOT_OF_ITS_OWN, "bash"])
        .args([&root, &program])
        .args(restorer.get_args());
    for (name, value) in restorer.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    // Who may make /kaniko.
    command.envs([("CNB_USER_ID", "0"), ("CNB_GROUP_ID", "0")]);
    Ran::of(&mut command)
}

/// RES-009, RES-011, RES-013, IMX-034.
#[test]
fn root_base_images_are_kept_for_the_extender() {
    let Some(site) = Site::open() else {
        return;
    };
    let layout = site.build.path("builder");
    let sample = Sample {
        content: Some("builder"),
        ..Sample::plain()
    };
    let manifest = sample.write(&layout);
    image::index(&layout, INDEX, &[manifest]);
    site.take("builder:1", &layout);
    site.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
    site.run("detector", &[]).ok();

    let (builder, run) = (site.digest("builder:1"), site.digest("run:latest"));
    let (builder, run) = (builder.unwrap(), run.unwrap());
    let kept = |digest: &str| format!("kaniko/cache/base/{digest}/index.json\n");
    let args = ["-build-image", "%/builder:1"];
    let log = restore(&site, "0.10", &args).ok();
    assert!(log.contains(&kept(&builder)), "{log}");
    assert!(!log.contains(&kept(&run)), "{log}");
    let reference =
        |of: &str| text(&site.toml("layers/analyzed.toml"), &[of, "reference"]).to_owned();
    let expected = format!("{}@{builder}", site.name("builder"));
    assert_eq!(reference("build-image"), expected);

    // The run image too, if it shall be extended; its reference and target are those of this moment.
    let analyzed = site.build.path("layers/analyzed.toml");
    let name = site.name("run");
    let extended = format!("[run-image]\nreference = \"\"\nimage = \"{name}\"\nextend = true\n");
    fs::write(&analyzed, &extended).unwrap();
    let log = restore(&site, "0.12", &args).ok();
    assert!(
        log.contains(&kept(&builder)) && log.contains(&kept(&run)),
        "{log}"
    );
    assert_eq!(reference("run-image"), format!("{name}@{run}"));
    let found = site.toml("layers/analyzed.toml");
    assert_eq!(text(&found, &["run-image", "target", "os"]), "linux");

    for (args, before, expected) in [
        (
            &["-build-image", "%/nothing"][..],
            "",
            "failed to pull builder image ",
        ),
        (&[], "extend", "failed to pull run image "),
    ] {
        let text = match before {
            "" => String::new(),
            _ => extended.replace("/run", "/nothing"),
        };
        fs::write(&analyzed, text).unwrap();
        let ran = restore(&site, "0.12", args);
        assert_eq!(ran.code, 1, "{}", ran.text);
        assert!(
            ran.text.contains(&format!("ERROR: {expected}")),
            "{}",
            ran.text
        );
        assert!(ran.text.contains("/nothing"), "{}", ran.text);
    }
}
