//! Images written to a registry and read from it.

use layout::{Layout, Selector};
use tests::program::{requires, run};
use tests::registry::Registry;

use crate::kit::{client, layer, read_whole, reference, write};

fn skopeo(args: &[&str]) -> String {
    let mut all = vec!["--insecure-policy"];
    all.extend(args);
    run("skopeo", &all)
}

fn can_run() -> bool {
    Registry::is_possible() && requires(&["skopeo"])
}

#[test]
fn foreign_an_image_is_pushed_and_another_client_reads_it() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let name = registry.name("some/app:v1");
    let layers = [layer(dir.path(), 1, 3 << 20), layer(dir.path(), 2, 10)];
    let draft = client().push(&reference(&name)).into();
    let committed = write(draft, &layers, "v1").unwrap();

    let copy = format!("oci:{}:v1", dir.path().join("copy").display());
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &copy,
    ]);
    let copied = Layout::at(dir.path().join("copy"));
    let copied = copied.image(&Selector::default()).unwrap().unwrap();
    assert_eq!(copied.digest(), &committed.digest);

    let image = read_whole(&client(), &name).unwrap();
    assert_eq!(image.digest(), &committed.digest);
    assert_eq!(image.manifest_size(), committed.manifest_size);
    let by_digest = registry.name(&format!("some/app@{}", committed.digest));
    assert_eq!(
        read_whole(&client(), &by_digest).unwrap().digest(),
        &committed.digest
    );

    // The same image in a layout is the same image.
    let layout = Layout::at(dir.path().join("layout"));
    let in_layout = write(layout.update().unwrap().into(), &layers, "v1").unwrap();
    assert_eq!(in_layout.digest, committed.digest);
}
