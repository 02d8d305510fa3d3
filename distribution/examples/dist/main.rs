//! What `make dist` does with programs that are built: `dist BINARIES OUT`, with `cargo metadata` on standard input.
//!
//! ```text
//! OUT/slipway-0.1.0-linux-x86_64.tar.gz        slipway, the lifecycle's programs, licence, README
//! OUT/lifecycle-v0.21.17+….linux.x86-64.tgz    for builder.toml, with .sha256
//! OUT/lifecycle-image/                         an image layout
//! OUT/slipway.cdx.json                         what slipway is made of
//! OUT/SHA256SUMS
//! ```
//!
//! The bytes depend on the programs and on Cargo.lock alone.

mod sbom;

use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use distribution::lifecycle::{self, Lifecycle};
use fs_err as fs;
use layout::Layout;
use layout::digest::sha256;
use layout::layer::{self, Compression, Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;

/// Version of the release.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files of the repository that belong to a release.
const TEXTS: [&str; 3] = ["CHANGELOG.md", "LICENSE", "README.md"];

/// Shells that slipway writes completions for, and what they call such a file.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "slipway.bash"),
    ("fish", "slipway.fish"),
    ("zsh", "_slipway"),
];

fn main() -> anyhow::Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [binaries, out] = args.as_slice() else {
        bail!("usage: cargo metadata --format-version 1 | dist BINARIES OUT");
    };
    let mut metadata = String::new();
    std::io::stdin().read_to_string(&mut metadata)?;
    let graph = sbom::Graph::read(&metadata, &fs::read_to_string("Cargo.lock")?)?;
    if out.exists() {
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    let stage = tempfile::tempdir()?;
    let programs = stage.path();
    for name in ["lifecycle", "launcher"] {
        let program = binaries.join(name);
        fs::copy(&program, programs.join(name))
            .with_context(|| format!("{name} is not built: make build"))?;
        for (format, text) in graph.of(name)?.formats()? {
            fs::write(programs.join(format!("{name}.sbom.{format}.json")), text)?;
        }
    }
    let lifecycle = Lifecycle::open(programs, stage.path())?;
    let platform = Platform::host();
    lifecycle.write_archive(out, &platform)?;
    let image = Layout::at(out.join("lifecycle-image"));
    let tag = lifecycle.version().replace('+', "-");
    lifecycle::write_image(&lifecycle, &platform, &image, &tag)?;
    for (format, text) in graph.of("cli")?.formats()? {
        if format == "cdx" {
            fs::write(out.join("slipway.cdx.json"), text)?;
        }
    }
    write_release(binaries, programs, &lifecycle, out)?;
    write_sums(out)
}

/// Writes what a user unpacks: one folder, in which slipway finds the lifecycle beside itself.
fn write_release(
    binaries: &Path,
    programs: &Path,
    lifecycle: &Lifecycle,
    out: &Path,
) -> anyhow::Result<()> {
    let name = format!("slipway-{VERSION}");
    let top = Path::new(&name);
    let mut entries = vec![directory(top)];
    for text in TEXTS.iter().filter(|it| Path::new(it).is_file()) {
        entries.push(file(&top.join(text), Path::new(text), 0o644)?);
    }
    let descriptor = programs.join("lifecycle.toml");
    platform::files::lifecycle::write(&descriptor, &lifecycle.descriptor)?;
    entries.extend(lifecycle.entries(&top.join("lifecycle")));
    entries.push(file(
        &top.join("lifecycle/lifecycle.toml"),
        &descriptor,
        0o644,
    )?);
    let slipway = binaries.join("slipway");
    entries.push(file(&top.join("slipway"), &slipway, 0o755)?);
    entries.push(directory(&top.join("completions")));
    for (shell, name) in COMPLETIONS {
        let script = programs.join(name);
        fs::write(&script, completion(&slipway, shell)?)?;
        entries.push(file(&top.join("completions").join(name), &script, 0o644)?);
    }
    let archive = format!("{name}-linux-{}.tar.gz", std::env::consts::ARCH);
    let mut target = BufWriter::new(fs::File::create(out.join(archive))?);
    let options = WriteOptions {
        compression: Compression::Gzip(9),
        ..WriteOptions::default()
    };
    layer::write_blob(&Layer { entries }, &mut target, &options, None)?;
    Ok(target.flush()?)
}

fn completion(slipway: &Path, shell: &str) -> anyhow::Result<Vec<u8>> {
    let said = Command::new(slipway).args(["completion", shell]).output();
    let said = said.with_context(|| format!("failed to run {}", slipway.display()))?;
    if !said.status.success() {
        bail!(
            "slipway completion {shell} failed: {}",
            String::from_utf8_lossy(&said.stderr)
        );
    }
    Ok(said.stdout)
}

/// Writes the checksum of each file; of the image, that of its index, which holds those of all else.
fn write_sums(out: &Path) -> anyhow::Result<()> {
    let mut names = vec!["lifecycle-image/index.json".to_owned()];
    for entry in fs::read_dir(out)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    let mut sums = fs::File::create(out.join("SHA256SUMS"))?;
    for name in names {
        let digest = sha256(&fs::read(out.join(&name))?);
        writeln!(sums, "{}  {name}", digest.digest())?;
    }
    Ok(())
}

fn directory(name: &Path) -> Entry {
    Entry {
        name: name.into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::Directory,
    }
}

fn file(name: &Path, source: &Path, mode: u32) -> anyhow::Result<Entry> {
    let size = fs::metadata(source)?.len();
    let source = source.to_owned();
    Ok(Entry {
        mode,
        kind: EntryKind::File {
            source: source.into(),
            size,
        },
        ..directory(name)
    })
}
