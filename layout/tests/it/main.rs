//! Whole layouts: made by hand or by other programs and read, written here and judged by other programs.

#![expect(
    clippy::type_complexity,
    clippy::unwrap_used,
    reason = "tables of cases; a fixture that cannot be made is a failed test"
)]

mod commit;
mod foreign;
mod headers;
mod hostile;
mod kit;
mod manifest;
mod read;
mod threads;
mod verify;

/// A file that nobody lists would never be run.
#[test]
fn every_file_is_listed() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let text = fs_err::read_to_string(dir.join("main.rs")).unwrap();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            name == "main" || text.contains(&format!("mod {name};\n")),
            "{name}"
        );
    }
}
