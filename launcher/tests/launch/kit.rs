//! An image on disk, and the launcher called in it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// The launcher under test.
pub(crate) const LAUNCHER: &str = env!("CARGO_BIN_EXE_launcher");

/// Prints its arguments, each in brackets, and its directory.
pub(crate) const SHOW: &str = "#!/bin/bash\nprintf '[%s]' \"$0\" \"$@\"; echo; pwd\n";

/// An app directory and a layers directory.
pub(crate) struct Image(tempfile::TempDir);

impl Image {
    /// Makes an image whose `metadata.toml` lists buildpack `acme/one` and has these processes too.
    pub(crate) fn new(processes: &str) -> Self {
        let image = Self(tempfile::tempdir().expect("a temporary directory"));
        let buildpacks = "[[buildpacks]]\nid = 'acme/one'\napi = '0.10'\n";
        image.file(
            "layers/config/metadata.toml",
            format!("{buildpacks}{processes}"),
            0o644,
        );
        image.file("app/show", SHOW, 0o755);
        image
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        // The kernel tells processes the name without links.
        fs_err::canonicalize(self.0.path())
            .expect("the image")
            .join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) {
        let path = self.0.path().join(name);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs_err::write(&path, content).expect("a file");
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }

    /// Returns the launcher, called by a name, with the least that it needs.
    pub(crate) fn launcher(&self, argv0: &str) -> Command {
        let mut command = Command::new(LAUNCHER);
        command.arg0(argv0).stdin(Stdio::null());
        self.environment(&mut command);
        command
    }

    pub(crate) fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("CNB_NO_COLOR", "true")
            .env("CNB_PLATFORM_API", "0.13")
            .env("CNB_APP_DIR", self.path("app"))
            .env("CNB_LAYERS_DIR", self.path("layers"));
    }

    pub(crate) fn show(&self, name: &str) -> String {
        self.path(name)
            .to_str()
            .expect("a path of letters")
            .to_owned()
    }
}

pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the launcher starts")
}

/// Returns what a process printed, which has to succeed.
#[track_caller]
pub(crate) fn stdout(command: &mut Command) -> String {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Fails unless the launcher exits with this code after exactly this error line.
#[track_caller]
pub(crate) fn assert_fails(command: &mut Command, code: i32, error: &str) {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text, format!("ERROR: {error}\n"));
    assert_eq!(output.status.code(), Some(code));
    assert_eq!(output.stderr, b"", "all lines go to stdout");
}

pub(crate) fn process(text: &str) -> String {
    format!("[[processes]]\ntype = 'web'\nbuildpack-id = 'acme/one'\n{text}\n")
}

pub(crate) fn exec_d(image: &Image, name: &str, script: &str) {
    image.file(
        &format!("layers/acme_one/{name}"),
        format!("#!/bin/bash\n{script}\n"),
        0o755,
    );
}
