use super::*;

#[test]
fn a_target_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| dir.path().join(name));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("there"), "before").unwrap();
    let error = copy(&source, &Filter::default(), &target).unwrap_err();
    assert!(matches!(&error, Error::NotEmpty(path) if *path == target));
    assert!(error.to_string().contains(target.to_str().unwrap()));
}

#[test]
fn what_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let there = dir.path().join("there");
    fs::create_dir(&there).unwrap();
    let missing = dir.path().join("missing");
    for (source, target) in [(&missing, &there), (&there, &missing)] {
        let text = copy(source, &Filter::default(), target)
            .unwrap_err()
            .to_string();
        assert!(text.contains(missing.to_str().unwrap()), "{text}");
    }
}

#[test]
fn a_file_that_is_no_archive_is_no_app() {
    let dir = tempfile::tempdir().unwrap();
    let [source, target] = ["main.py", "target"].map(|name| dir.path().join(name));
    fs::create_dir(&target).unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    for (special, kind) in [(fifo.as_path(), "FIFO"), (Path::new("/dev/zero"), "device")] {
        let error = copy(special, &Filter::default(), &target).unwrap_err();
        assert!(error.to_string().contains(kind), "{error}");
    }
    for text in ["", "print('hi')", "PK\x03\x04 not really"] {
        fs::write(&source, text).unwrap();
        let error = copy(&source, &Filter::default(), &target).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(source.to_str().unwrap()), "{text}");
        assert!(text.contains("\nan app is a directory, or a zip"), "{text}");
    }
}
