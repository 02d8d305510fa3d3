use std::path::Path;

use layout::editor::{CommitOptions, Committed};
use layout::layer::{Entry, EntryKind};
use layout::manifest::Platform;
use layout::{History, Image, ImageEditor, Layout, Selector};
use tempfile::TempDir;

use super::*;
use crate::fake::{Fake, Reply, Seen, ok, refused};

const LOAD: &str = "POST /images/load?quiet=1";

fn layer(dir: &TempDir, text: &str) -> Layer {
    let source = dir.path().join(text.get(..8).unwrap_or(text));
    fs_err::write(&source, text).unwrap();
    let size = text.len() as u64;
    let kind = EntryKind::File {
        source: source.into(),
        size,
    };
    let (name, mode) = (Path::new("/file").into(), 0o644);
    let entry = Entry {
        name,
        mode,
        uid: 0,
        gid: 0,
        kind,
    };
    Layer {
        entries: vec![entry],
    }
}

fn bytes(layer: &Layer) -> Vec<u8> {
    let mut bytes = Vec::new();
    layer.write_tar(&mut bytes).unwrap();
    bytes
}

/// A daemon that keeps what is loaded whole.
fn daemon(info: &'static str) -> (Fake, Engine) {
    Fake::engine_remembering(move |line, seen| {
        let loads = seen.iter().rev();
        let loads = loads.filter(|it| it.line.ends_with("load?quiet=1") && it.whole);
        let mut images = loads.flat_map(|it| inspections(&it.body));
        let image = line.strip_prefix("GET /images/");
        match image.and_then(|it| it.rsplit_once('/')) {
            _ if line == LOAD => ok(r#"{"stream":"Loaded image: app\n"}"#),
            _ if line == "GET /info" => ok(info),
            Some((_, "history")) => ok("[]"),
            Some((name, "json")) => match images.find(|it| it.0 == name) {
                Some((_, text)) => ok(&text),
                None => refused(404, "no such image"),
            },
            _ => refused(500, "what is that"),
        }
    })
}

fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        found.push((name, bytes));
    }
    found
}

/// Returns what inspecting an image gives, by its name and by its ID.
fn inspections(archive: &[u8]) -> [(String, String); 2] {
    let members = members(archive);
    let manifest = &members.last().unwrap().1;
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let config = &members[members.len() - 2].1;
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    let id = manifest[0]["Config"].as_str().unwrap().replace(".json", "");
    let text = serde_json::json!({
        "Id": format!("sha256:{id}"), "Os": "linux", "Config": config["config"],
        "RootFS": {"Layers": config["rootfs"]["diff_ids"]},
    });
    let name = manifest[0]["RepoTags"][0].as_str().unwrap();
    [
        (name.to_owned(), text.to_string()),
        (format!("sha256:{id}"), text.to_string()),
    ]
}

fn draft(engine: &Engine) -> DaemonDraft {
    engine.draft(&"app".parse().unwrap()).unwrap()
}

const APP: &str = "index.docker.io/library/app:latest";

fn write(draft: &mut DaemonDraft, layer: &Layer) -> Result<Written, layer::Error> {
    draft.write_layer(layer, &WriteOptions::default(), None)
}

fn commit(
    engine: &Engine,
    mut editor: ImageEditor,
    layers: &[&Layer],
) -> Result<Committed, store::Error> {
    let mut draft = draft(engine);
    for layer in layers {
        editor.append(&write(&mut draft, layer).unwrap(), History::default());
    }
    editor.commit(draft, &CommitOptions::default())
}

/// Makes a layout with an image of one layer.
fn in_layout(dir: &TempDir, layer: &Layer) -> Layout {
    let place = Layout::at(dir.path().join("layout"));
    let mut update = place.update().unwrap();
    let mut editor = empty();
    let written = update.write_layer(layer, &WriteOptions::default(), None);
    editor.append(&written.unwrap(), History::default());
    editor.commit(update, &CommitOptions::default()).unwrap();
    place
}

fn empty() -> ImageEditor {
    ImageEditor::empty(&Platform::host())
}

fn image(engine: &Engine) -> Image {
    engine.image(APP, None).unwrap().unwrap()
}

/// Returns the last archive that was loaded whole.
fn loaded(fake: &Fake) -> Vec<(String, Vec<u8>)> {
    let seen = fake.seen();
    let load = seen
        .iter()
        .rev()
        .find(|it| it.line.ends_with("load?quiet=1"));
    let load = load.unwrap();
    assert!(load.whole);
    members(&load.body)
}

fn text(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|it| format!(": {}", text(it)));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn the_stream_is_what_docker_loads() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (layer(&dir, "one"), layer(&dir, &"two".repeat(100_000)));
    let (fake, engine) = daemon("{}");
    let mut draft = draft(&engine);
    assert_eq!(
        draft.location(),
        format!("image {APP} of the daemon at {}", engine.host())
    );
    assert!(!draft.keeps_types());
    let mut copy = tempfile::NamedTempFile::new().unwrap();
    let first = write(&mut draft, &one).unwrap();
    let second = draft
        .write_layer(&two, &WriteOptions::default(), Some(copy.as_file_mut()))
        .unwrap();
    let tee = fs_err::read(copy.path()).unwrap();
    assert_eq!(tee, bytes(&two));
    assert_eq!(second.diff_id.0, sha256(&tee));
    assert_eq!(second.descriptor.digest, second.diff_id.0);
    assert_eq!(second.descriptor.size, tee.len() as u64);
    let mut editor = empty();
    for layer in [&first, &second, &first] {
        editor.append(layer, History::default());
    }
    let committed = editor.commit(draft, &CommitOptions::default()).unwrap();

    let id = committed.config_digest.digest();
    let found = loaded(&fake);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    let config = format!("{id}.json");
    assert_eq!(
        names,
        ["layer-1.tar", "layer-2.tar", &config, "manifest.json"]
    );
    assert!(found[0].1 == bytes(&one) && found[1].1 == tee);
    assert_eq!(sha256(&found[2].1), committed.config_digest);
    let manifest = format!(
        r#"[{{"Config":"{config}","RepoTags":["{APP}"],"Layers":["layer-1.tar","layer-2.tar","layer-1.tar"]}}]"#
    );
    assert_eq!(String::from_utf8_lossy(&found[3].1), manifest);
    assert_eq!(image(&engine).diff_ids().len(), 3);
    assert_eq!(
        fake.seen()
            .iter()
            .filter(|it| it.line.contains("/get"))
            .count(),
        0
    );
}

/// Another daemon may save other bytes than those of the layer: they are not loaded as it.
#[test]
fn a_layer_of_another_daemon_is_verified_while_it_is_sent() {
    let id = sha256(b"one");
    let config = format!(r#"{{"rootfs":{{"diff_ids":["{id}"]}}}}"#);
    let manifest = r#"[{"Config":"c","Layers":["l"]}]"#;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [("l", "two"), ("c", &config), ("manifest.json", manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        archive
            .append_data(&mut header, name, text.as_bytes())
            .unwrap();
    }
    let archive = String::from_utf8(archive.into_inner().unwrap()).unwrap();
    let inspected = format!(r#"{{"Id":"{id}","RootFS":{{"Layers":["{id}"]}}}}"#);
    let (_other, elsewhere) = Fake::engine(move |line| match line.rsplit('/').next() {
        Some("json") => ok(&inspected),
        Some("history") => ok("[]"),
        _ => ok(&archive),
    });
    let base = elsewhere.image("app", None).unwrap().unwrap();
    let (fake, engine) = daemon("{}");
    let error = commit(&engine, ImageEditor::from_base(&base), &[]).unwrap_err();
    assert!(text(&error).contains("its digest is"), "{}", text(&error));
    let seen = fake.seen();
    assert!(seen.iter().all(|it| it.line != LOAD || !it.whole));
}

#[test]
fn layers_of_a_chain_that_the_daemon_has_are_empty_files() {
    let dir = tempfile::tempdir().unwrap();
    let layers = ["one", "two", "three"].map(|it| layer(&dir, it));
    let (fake, engine) = daemon("{}");
    commit(&engine, empty(), &[&layers[0], &layers[1]]).unwrap();
    let base = ImageEditor::from_base(&image(&engine));
    commit(&engine, base, &[&layers[2]]).unwrap();
    let found = loaded(&fake);
    let sizes: Vec<_> = found.iter().map(|(_, bytes)| bytes.len()).take(3).collect();
    assert_eq!(sizes, [bytes(&layers[2]).len(), 0, 0]);
    let manifest = String::from_utf8_lossy(&found[4].1).into_owned();
    assert!(
        manifest.contains(r#""Layers":["layer-2.tar","layer-3.tar","layer-1.tar"]"#),
        "{manifest}"
    );
}

#[test]
fn a_daemon_that_takes_no_empty_files_gets_every_layer() {
    // EXP-088
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|it| layer(&dir, it));
    let place = in_layout(&dir, &one);
    let base = place.image(&Selector::default()).unwrap().unwrap();
    let id = base.diff_ids()[0].clone();
    let (fake, engine) = Fake::engine_remembering(move |line, seen| {
        let loads = seen.iter().filter(|it| it.line.ends_with("load?quiet=1"));
        match loads.map(|it| &it.body).collect::<Vec<_>>()[..] {
            // Somebody's image of that name has the base's layer.
            [] | [_] if line.ends_with("/json") => {
                let text = r#"{"Id":"sha256:ID","RootFS":{"Layers":["LAYER"]}}"#;
                ok(&text
                    .replace("ID", id.0.digest())
                    .replace("LAYER", &id.to_string()))
            }
            [_] if line == LOAD => ok(r#"{"error":"invalid diffID"}"#),
            [_, again] if line.ends_with("/json") => ok(&inspections(again)[0].1),
            _ => ok("{}"),
        }
    });
    commit(&engine, ImageEditor::from_base(&base), &[&two]).unwrap();
    let sizes: Vec<_> = loaded(&fake)
        .iter()
        .map(|(_, it)| it.len())
        .take(2)
        .collect();
    assert_eq!(sizes, [bytes(&one).len(), bytes(&two).len()]);
    let loads = fake.seen();
    let loads: Vec<_> = loads.iter().filter(|it| it.line.contains("load")).collect();
    assert_eq!(loads.len(), 2);
    let sizes: Vec<_> = members(&loads[0].body)
        .iter()
        .map(|(_, it)| it.len())
        .take(2)
        .collect();
    assert_eq!(sizes, [bytes(&two).len(), 0]);
}

#[test]
fn a_daemon_that_keeps_images_in_containerd_gets_every_layer() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, engine) =
        daemon(r#"{"DriverStatus":[["x","y"],["driver-type","io.containerd.snapshotter.v1"]]}"#);
    let one = layer(&dir, "one");
    commit(&engine, empty(), &[&one]).unwrap();
    let mut editor = ImageEditor::from_base(&image(&engine));
    editor.config_mut().set_env("A", "1");
    // It has to be fetched, which this one cannot do.
    let error = editor
        .commit(draft(&engine), &CommitOptions::default())
        .unwrap_err();
    assert!(text(&error).ends_with("what is that"), "{}", text(&error));
    assert!(fake.seen().iter().any(|it| it.line.ends_with("/get")));
}

#[test]
fn an_image_may_come_from_a_layout() {
    let dir = tempfile::tempdir().unwrap();
    let one = layer(&dir, "one");
    let place = in_layout(&dir, &one);
    let base = place.image(&Selector::default()).unwrap().unwrap();
    let (fake, engine) = daemon("{}");
    commit(&engine, ImageEditor::from_base(&base), &[]).unwrap();
    // Compressed there, and a plain tar here.
    assert!(loaded(&fake)[0].1 == bytes(&one));

    let sparse = CommitOptions {
        sparse: true,
        ..CommitOptions::default()
    };
    let (fake, engine) = daemon("{}");
    let error = ImageEditor::from_base(&base)
        .commit(draft(&engine), &sparse)
        .unwrap_err();
    assert!(
        text(&error).contains("a daemon keeps whole images only"),
        "{}",
        text(&error)
    );
    fs_err::remove_dir_all(dir.path().join("layout/blobs")).unwrap();
    let error = commit(&engine, ImageEditor::from_base(&base), &[]).unwrap_err();
    assert!(text(&error).contains("is not in"), "{}", text(&error));
    assert!(text(&error).contains(&fake.host()), "{}", text(&error));
    assert!(fake.seen().iter().all(|it| !it.line.contains("load")));
}

type Answering = fn() -> Reply;

/// What came of loading one layer into a daemon that replies so.
fn outcome(load: Answering, inspected: &'static str, size: usize) -> (String, Vec<Seen>) {
    let dir = tempfile::tempdir().unwrap();
    let (fake, engine) = Fake::engine(move |line| match line {
        LOAD => load(),
        "GET /info" => ok("{}"),
        _ if line.ends_with("/json") && !inspected.is_empty() => ok(inspected),
        _ => refused(404, "no such image"),
    });
    let mut draft = draft(&engine);
    let layer = layer(&dir, &"x".repeat(size));
    let error = match write(&mut draft, &layer) {
        Err(error) => text(&error),
        Ok(written) => {
            let mut editor = empty();
            editor.append(&written, History::default());
            let options = CommitOptions::default();
            text(&editor.commit(draft, &options).unwrap_err())
        }
    };
    (error.replace(&fake.host(), "HOST"), fake.seen())
}

#[test]
fn a_load_that_fails_says_why() {
    let doing = format!("failed to load image {APP} in the daemon at HOST: ");
    let gone = "it closed the connection\nsee its log, and try again";
    let damaged = "its answer is damaged: EOF while parsing a value at line 1 column 10";
    let big = 4_000_000;
    // Errors come with an answer of success, or before the end, or not at all.
    let cases: [(Answering, usize, &str); 8] = [
        (
            || {
                ok(
                    "{\"stream\":\"a\"}\r\n{\"errorDetail\":{\"code\":1,\"message\":\"no space left\"},\"error\":\"x\"}",
                )
            },
            9,
            "no space left",
        ),
        (|| ok(r#"{"error":"invalid diffID"}"#), 9, "invalid diffID"),
        (
            || ok(r#"{"status":"Loading","progress":"[==> "}{"message":"refused"}"#),
            9,
            "refused",
        ),
        (|| refused(500, "server error"), 9, "server error"),
        (|| ok("{\"stream\":"), 9, damaged),
        (|| Reply::Interrupt(interruption()), big, "disk full"),
        (|| Reply::HangUp(1_000_000), big, gone),
        (
            || {
                Reply::Say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 99\r\n\r\n{\"stream\":\"a\"}".to_owned())
            },
            9,
            gone,
        ),
    ];
    for (reply, size, expected) in cases {
        let (error, seen) = outcome(reply, "", size);
        assert_eq!(error, format!("{doing}{expected}"));
        let mut loads = seen.iter().filter(|it| it.line.contains("load"));
        assert!(loads.all(|it| it.whole == (size == 9)));
    }
}

fn interruption() -> String {
    let body = r#"{"message":"disk full"}"#;
    format!(
        "HTTP/1.1 500 Bad\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_image_that_is_another_afterwards_is_an_error() {
    const OTHER: &str =
        r#"{"Id":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#;
    let (error, _) = outcome(|| ok("{}"), OTHER, 9);
    let expected = format!(
        "the daemon at HOST has image sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 as {APP}, where sha256:"
    );
    assert!(error.starts_with(&expected), "{error}");
    let (error, _) = outcome(|| ok("{}"), "", 9);
    assert!(error.ends_with("it has no such image after it"), "{error}");
}

#[test]
fn a_draft_that_is_given_up_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (fake, engine) = daemon("{}");
    let mut given_up = draft(&engine);
    write(&mut given_up, &layer(&dir, &"x".repeat(1_000_000))).unwrap();
    drop(given_up);
    // Nor one whose layer could not be read.
    let mut broken = draft(&engine);
    let changed = layer(&dir, "changed");
    fs_err::write(dir.path().join("changed"), "longer than before").unwrap();
    let error = write(&mut broken, &changed).unwrap_err();
    assert!(matches!(error, layer::Error::Changed { .. }), "{error:?}");
    assert!(write(&mut broken, &layer(&dir, "other")).is_err());
    // Nor one whose copy could not be written.
    let mut untold = draft(&engine);
    let mut options = fs_err::OpenOptions::new();
    let (mut full, _) = options.write(true).open("/dev/full").unwrap().into_parts();
    let other = layer(&dir, "other");
    let error = untold.write_layer(&other, &WriteOptions::default(), Some(&mut full));
    assert!(matches!(error, Err(layer::Error::Tee(_))), "{error:?}");
    drop((broken, untold));
    assert!(engine.image(APP, None).unwrap().is_none());
    let seen = fake.seen();
    let loads: Vec<_> = seen.iter().filter(|it| it.line.contains("load")).collect();
    assert!(!loads.is_empty() && loads.iter().all(|it| !it.whole));
}
