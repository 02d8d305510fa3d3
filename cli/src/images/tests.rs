use std::os::unix::fs::symlink;

use layout::ImageEditor;
use layout::editor::CommitOptions;
use tempfile::TempDir;

use super::output::Output;
use super::stores::Registries;
use super::*;
use crate::config::Config;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn config(home: &Path) -> Config {
    Config::read(home).unwrap()
}

fn platform(architecture: &str) -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        ..Platform::default()
    }
}

/// Writes an image without layers that says who its author is.
fn image(dir: &Path, ref_name: &str, architecture: &str, author: &str) {
    let mut editor = ImageEditor::empty(&platform(architecture));
    author.clone_into(&mut editor.config_mut().author);
    let options = CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    };
    let update = Layout::at(dir).update().unwrap();
    editor.commit(update, &options).unwrap();
}

/// A layout with these images: ref name, architecture, author.
fn layout(images: &[(&str, &str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut manifests = Vec::new();
    for (ref_name, architecture, author) in images {
        let one = tempfile::tempdir().unwrap();
        image(one.path(), ref_name, architecture, author);
        let index = Layout::at(one.path()).index().unwrap().unwrap();
        manifests.extend(index.manifests);
        let blobs = "blobs/sha256";
        fs_err::create_dir_all(dir.path().join(blobs)).unwrap();
        for blob in fs_err::read_dir(one.path().join(blobs)).unwrap() {
            let blob = blob.unwrap();
            fs_err::copy(blob.path(), dir.path().join(blobs).join(blob.file_name())).unwrap();
        }
    }
    let index = layout::json::to_string_indented(&Index::new(manifests)).unwrap();
    fs_err::write(dir.path().join("index.json"), index).unwrap();
    dir
}

/// Opens an image and returns its author, or the error with its causes.
fn author(name: &str, home: &Path, platform: Option<&Platform>) -> Result<String, String> {
    let config = config(home);
    // No test speaks to the world.
    let stores = Stores::new(&config, &Registries::default(), Some(PullPolicy::Never)).unwrap();
    let image = ImageName::parse(name).and_then(|it| it.open(&stores, platform));
    let image = image.map_err(|error| format!("{error:#}"))?;
    Ok(image.config().author.clone())
}

#[test]
fn names_are_understood() {
    let there = ["dir", "dir:with", "/abs/a:b", "new:dir"];
    let exists = |path: &Path| there.iter().any(|it| Path::new(it) == path);
    let by_digest = format!("dir@sha256:{HEX}");
    let with_both = format!("dir:tag@sha256:{HEX}");
    let odd = format!("dir:with@sha256:{HEX}");
    let cases = [
        ("dir", "dir", None, false),
        ("dir:tag", "dir", Some("tag"), false),
        ("dir:with", "dir:with", None, false),
        ("dir:with:tag", "dir:with", Some("tag"), false),
        ("/abs/a:b", "/abs/a:b", None, false),
        ("/abs/a:b:1.0", "/abs/a:b", Some("1.0"), false),
        // As podman names images in archives.
        ("dir:localhost/app:1", "dir", Some("localhost/app:1"), false),
        ("no", "no", None, false),
        ("./no:tag", "./no", Some("tag"), false),
        ("/no/x:tag", "/no/x", Some("tag"), false),
        ("no:x/dir", "no:x/dir", None, false),
        ("no:x/dir:tag", "no:x/dir", Some("tag"), false),
        (&by_digest, "dir", None, true),
        (&with_both, "dir", Some("tag"), true),
        (&odd, "dir:with", None, true),
        ("user@host", "user@host", None, false),
    ];
    for (text, path, tag, has_digest) in cases {
        let (found, selector) = split(text, &exists).unwrap();
        assert_eq!(found, Path::new(path), "{text}");
        assert_eq!(selector.ref_name.as_deref(), tag, "{text}");
        assert_eq!(selector.digest.is_some(), has_digest, "{text}");
    }
    assert_eq!(
        ImageName::parse("localhost:5000/a/b:v1").unwrap(),
        ImageName::Named("localhost:5000/a/b:v1".to_owned())
    );
}

#[test]
fn a_name_is_shown_as_it_was_typed() {
    for text in [
        "oci:no/x",
        "oci:no/x:tag",
        "oci-archive:no.tar:v1",
        "app:v1",
        &format!("oci:no/x:tag@sha256:{HEX}"),
    ] {
        assert_eq!(ImageName::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn places_elsewhere_have_names_as_other_tools_call_them() {
    let parse = |text: &str| ImageName::parse(text).unwrap();
    let app = Reference::parse("app").unwrap();
    assert_eq!(parse("docker://app"), ImageName::Registry(app));
    assert_eq!(
        parse("docker://app").to_string(),
        "docker://index.docker.io/library/app:latest"
    );
    let daemon = ImageName::Daemon("app:1".to_owned());
    assert_eq!(parse("docker-daemon:app:1"), daemon);
    // An image that is called so.
    let named = ImageName::Named("docker:27".to_owned());
    assert_eq!(parse("docker:27"), named);
    let archive = ImageName::Archive("app.tar".into(), Selector::default());
    assert_eq!(parse("docker-archive:app.tar"), archive);
}

#[test]
fn what_is_no_name_is_refused() {
    for (text, error) in [
        ("", "invalid image name ''"),
        ("oci:", "it has no path"),
        ("oci::tag", "it has no path"),
        ("oci:dir:", "leave the colon out"),
        ("oci:dir@sha256:12", "'sha256:12' is no digest"),
        ("UPPER", "invalid image name 'UPPER'"),
        ("localhost:1/x", "a repository has 2 to 255 small letters"),
        ("./app", "is named oci:./app"),
        ("/", "is named oci:/"),
        ("docker://UPPER", "invalid image name 'docker://UPPER'"),
        ("docker-daemon:", "invalid image name 'docker-daemon:'"),
        ("dir:app", "skopeo copy dir:app oci:DIR:TAG"),
    ] {
        let found = format!("{:#}", ImageName::parse(text).unwrap_err());
        assert!(found.contains(error), "{text}: {found}");
    }
}

#[test]
fn images_are_found_in_a_layout_of_any_shape() {
    let home = tempfile::tempdir().unwrap();
    let arm = platform("arm64");
    let amd = platform("amd64");
    let platforms = [("", "amd64", "amd"), ("", "arm64", "arm")];
    let names = [("v1", "amd64", "one"), ("v2", "amd64", "two")];
    let latest = [("v1", "amd64", "one"), ("latest", "amd64", "two")];
    let other = [("v1", "amd64", "one"), ("v2", "arm64", "two")];
    let cases: [(&[_], &str, &Platform, Result<&str, &str>); 14] = [
        (&[("", "s390x", "only")], "", &amd, Ok("only")),
        (&[("v1", "s390x", "only")], "", &amd, Ok("only")),
        (&[("v1", "amd64", "only")], ":v1", &amd, Ok("only")),
        (
            &[("v1", "amd64", "only")],
            ":v2",
            &amd,
            Err("no image named v2 in "),
        ),
        (
            &[("", "amd64", "only")],
            ":v2",
            &amd,
            Err("no image named v2 in "),
        ),
        (&[], "", &amd, Err("lists no image")),
        (&[], ":v1", &amd, Err("lists no image")),
        (&platforms, "", &amd, Ok("amd")),
        (&platforms, "", &arm, Ok("arm")),
        (&names, ":v2", &amd, Ok("two")),
        (&names, "", &amd, Err("there are several images in ")),
        (&latest, "", &amd, Ok("two")),
        (&other, "", &arm, Ok("two")),
        (
            &platforms,
            "",
            &platform("s390x"),
            Err("is for linux/s390x"),
        ),
    ];
    for (images, tag, wanted, expected) in cases {
        let dir = layout(images);
        let name = format!("oci:{}{tag}", dir.path().display());
        match (author(&name, home.path(), Some(wanted)), expected) {
            (Ok(found), Ok(author)) => assert_eq!(found, author, "{images:?}{tag}"),
            (Err(found), Err(text)) => assert!(found.contains(text), "{found}"),
            (found, _) => panic!("{images:?}{tag}: {found:?}"),
        }
    }
}

#[test]
fn an_image_under_two_names_is_one() {
    let home = tempfile::tempdir().unwrap();
    let dir = layout(&[("v1", "amd64", "one")]);
    let mut index = Layout::at(dir.path()).index().unwrap().unwrap();
    let mut second = index.manifests[0].clone();
    let name = (layout::manifest::REF_NAME.to_owned(), "v2".to_owned());
    second.annotations.extend([name]);
    index.manifests.push(second);
    let index = layout::json::to_string_indented(&index).unwrap();
    fs_err::write(dir.path().join("index.json"), index).unwrap();
    let name = format!("oci:{}", dir.path().display());
    assert_eq!(author(&name, home.path(), None), Ok("one".to_owned()));
}

#[test]
fn a_digest_picks_an_image() {
    let home = tempfile::tempdir().unwrap();
    let dir = layout(&[("v1", "amd64", "one"), ("v2", "amd64", "two")]);
    let entries = Layout::at(dir.path()).images().unwrap().unwrap();
    let digest = &entries[1].descriptor.digest;
    let name = format!("oci:{}@{digest}", dir.path().display());
    assert_eq!(author(&name, home.path(), None), Ok("two".to_owned()));
    let name = format!("oci:{}@sha256:{HEX}", dir.path().display());
    let error = author(&name, home.path(), None).unwrap_err();
    assert!(error.contains(&format!("is sha256:{HEX}")), "{error}");
}

#[test]
fn a_directory_may_have_a_colon_in_its_name() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("a:b");
    image(&dir, "v1", "amd64", "colon");
    for tag in ["", ":v1"] {
        let name = format!("oci:{}{tag}", dir.display());
        assert_eq!(author(&name, home.path(), None), Ok("colon".to_owned()));
    }
}

#[test]
fn images_are_found_in_the_layout_repo_and_what_is_missing_is_told() {
    let home = tempfile::tempdir().unwrap();
    let repo = config(home.path()).layout_repo_dir();
    image(
        &repo.join("index.docker.io/library/app/latest"),
        "some-name",
        "amd64",
        "repo",
    );
    for name in ["app", "docker.io/library/app:latest"] {
        assert_eq!(author(name, home.path(), None), Ok("repo".to_owned()));
    }
    let by_digest = format!("example.org/app@sha256:{HEX}");
    let path = format!("example.org/app/sha256/{HEX}\n");
    for (name, place) in [("app:v2", "library/app/v2\n"), (&by_digest, &path)] {
        let error = author(name, home.path(), None).unwrap_err();
        let says = |text: &str| error.contains(text);
        let hint = format!("slipway layout copy oci:DIR {name}");
        assert!(
            says("no image ") && says(place) && says(&hint) && says("pull-policy"),
            "{error}"
        );
    }
    let error = author("oci:no/where", home.path(), None).unwrap_err();
    assert!(error.contains("no OCI image layout in no/where"), "{error}");
    let error = author("oci-archive:no/where.tar", home.path(), None).unwrap_err();
    assert!(error.contains("no/where.tar"), "{error}");
}

#[test]
fn images_are_found_in_archives() {
    let home = tempfile::tempdir().unwrap();
    let dir = layout(&[("v1", "amd64", "one"), ("v2", "amd64", "two")]);
    let file = home.path().join("image.tar");
    let mut tar = tar::Builder::new(fs_err::File::create(&file).unwrap());
    tar.append_dir_all(".", dir.path()).unwrap();
    tar.finish().unwrap();
    let name = |tag: &str| format!("oci-archive:{}{tag}", file.display());
    let found = author(&name(":v2"), home.path(), None);
    assert_eq!(found, Ok("two".to_owned()));
    let error = author(&name(""), home.path(), None).unwrap_err();
    assert!(error.contains("there are several images in "), "{error}");
}

#[test]
fn outputs_are_where_pack_writes_them() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let config = config(&home);
    let here = std::env::current_dir().unwrap();
    let (real, link) = (home.join("real"), home.join("link"));
    fs_err::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let repo = config.layout_repo_dir();
    let cases = [
        ("oci:app".to_owned(), here.join("app"), "app", "latest"),
        (
            "oci:app:tag1".to_owned(),
            here.join("app"),
            "app:tag1",
            "tag1",
        ),
        (
            "oci:/abs/app".to_owned(),
            "/abs/app".into(),
            "app",
            "latest",
        ),
        (
            "oci:/abs/app:v1".to_owned(),
            "/abs/app".into(),
            "app:v1",
            "v1",
        ),
        ("oci:./app".to_owned(), here.join("app"), "app", "latest"),
        (
            "oci:./some/app/".to_owned(),
            here.join("some/app"),
            "app",
            "latest",
        ),
        (
            format!("oci:{}", link.display()),
            real.clone(),
            "link",
            "latest",
        ),
        (
            format!("oci:{}/.", real.display()),
            real.clone(),
            "real",
            "latest",
        ),
        (
            "app".to_owned(),
            repo.join("index.docker.io/library/app/latest"),
            "app",
            "latest",
        ),
        (
            "example.org/a/app:v1".to_owned(),
            repo.join("example.org/a/app/v1"),
            "example.org/a/app:v1",
            "v1",
        ),
    ];
    for (text, dir, name, ref_name) in cases {
        let output = ImageName::parse(&text).unwrap().output(&config).unwrap();
        let (name, ref_name) = (name.to_owned(), ref_name.to_owned());
        assert_eq!(
            output,
            Output {
                dir,
                name,
                ref_name
            },
            "{text}"
        );
    }
}

#[test]
fn outputs_that_cannot_be_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for (text, error) in [
        ("oci:/abs/My App", "its name would be 'My App'"),
        ("oci:/abs/x", "two characters or more"),
        ("oci:/", "its name would be ''"),
        ("oci:/abs/app:a b", "'app:a b'"),
        (&format!("oci:/abs/app@sha256:{HEX}"), "use a tag"),
        (&format!("app@sha256:{HEX}"), "use a tag"),
        (
            "oci-archive:app.tar",
            "slipway layout copy oci:DIR oci-archive:app.tar",
        ),
        (
            "docker://app",
            "slipway layout copy oci:DIR docker://index.docker.io/library/app:latest",
        ),
        (
            "docker-daemon:app",
            "slipway layout copy oci:DIR docker-daemon:app",
        ),
    ] {
        let name = ImageName::parse(text).unwrap();
        let found = name.output(&config(home.path())).unwrap_err();
        let found = format!("{found:#}");
        assert!(found.contains(error), "{text}: {found}");
    }
}
