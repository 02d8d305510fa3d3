//! An OCI bundle: the folder with `config.json` that any OCI runtime takes (runtime-spec, `config.md`).
//!
//! Whatever a container may not do is written here, so that our own engine and other runtimes read the same.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime as oci;

use crate::container::{Capability, Container, Mount, Network};
use crate::ids::{IdMaps, Range};
use crate::runtime::Error;
use crate::seccomp;

/// Name of the folder in the bundle that `/` is mounted on.
pub(crate) const ROOTFS: &str = "rootfs";

/// What is hidden from every container, as container engines do.
const MASKED: [&str; 16] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    // Mounted on some machines, and bound with the rest.
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
];

/// What no container can write to.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Describes a container for a runtime that makes the user namespace of `maps`, or that runs in it already.
pub(crate) fn spec(
    container: &Container,
    maps: Option<&IdMaps>,
    entered: bool,
) -> Result<oci::Spec, Error> {
    let user = container.user;
    if maps.is_some_and(|it| !it.has(user.uid, user.gid)) {
        return Err(Error::UnmappedUser(user));
    }
    let mut spec = oci::Spec::default();
    let mut root = oci::Root::default();
    root.set_path(ROOTFS.into()).set_readonly(Some(false));
    spec.set_version("1.0.2".to_owned())
        .set_root(Some(root))
        .set_process(Some(process(container)?))
        .set_hostname(Some("slipway".to_owned()))
        .set_mounts(Some(mounts(container, maps)?))
        .set_annotations(None)
        .set_linux(Some(linux(container, maps.filter(|_| !entered))));
    Ok(spec)
}

/// Writes a bundle's description.
pub(crate) fn write(dir: &Path, spec: &oci::Spec) -> Result<(), Error> {
    let text = serde_json::to_vec(spec).map_err(std::io::Error::from)?;
    fs_err::write(dir.join("config.json"), text)?;
    Ok(())
}

/// Reads a bundle's description.
pub(crate) fn read(dir: &Path) -> std::io::Result<oci::Spec> {
    Ok(serde_json::from_slice(&fs_err::read(
        dir.join("config.json"),
    )?)?)
}

fn process(container: &Container) -> Result<oci::Process, Error> {
    let args = container.args.iter().map(|it| text(it, "an argument"));
    let env = container.env.iter().map(|(name, value)| {
        let name = text(name, "the name of a variable")?;
        let value = text(value, &format!("the variable {name}"))?;
        if name.is_empty() || name.contains('=') {
            return Err(Error::Container(format!(
                "no variable can be named \"{name}\""
            )));
        }
        Ok(format!("{name}={value}"))
    });
    let (args, env): (Result<Vec<_>, _>, Result<Vec<_>, _>) = (args.collect(), env.collect());
    let args = args?;
    if !args.first().is_some_and(|it| it.starts_with('/')) {
        let got = args.first().map_or("nothing", |it| it);
        return Err(Error::Container(format!(
            "the program must be an absolute path, not {got}"
        )));
    }
    let mut user = oci::User::default();
    user.set_uid(container.user.uid)
        .set_gid(container.user.gid)
        .set_additional_gids(Some(Vec::new()));
    let mut process = oci::Process::default();
    process
        .set_terminal(Some(false))
        .set_user(user)
        .set_args(Some(args))
        .set_env(Some(env?))
        .set_cwd(cwd(&container.cwd)?)
        .set_capabilities(Some(capabilities(&container.capabilities)))
        .set_rlimits(None)
        .set_no_new_privileges(Some(true));
    Ok(process)
}

fn capabilities(wanted: &[Capability]) -> oci::LinuxCapabilities {
    let set: oci::Capabilities = wanted
        .iter()
        .map(|it| match it {
            Capability::Chown => oci::Capability::Chown,
            Capability::DacOverride => oci::Capability::DacOverride,
            Capability::Fowner => oci::Capability::Fowner,
            Capability::SetGid => oci::Capability::Setgid,
            Capability::SetUid => oci::Capability::Setuid,
        })
        .collect();
    let mut all = oci::LinuxCapabilities::default();
    all.set_bounding(Some(set.clone()))
        .set_permitted(Some(set.clone()))
        .set_effective(Some(set))
        .set_inheritable(Some(oci::Capabilities::new()))
        .set_ambient(Some(oci::Capabilities::new()));
    all
}

fn linux(container: &Container, maps: Option<&IdMaps>) -> oci::Linux {
    use oci::LinuxNamespaceType as Kind;
    let mut kinds = vec![Kind::Mount, Kind::Pid, Kind::Ipc, Kind::Uts];
    if container.network == Network::None {
        kinds.push(Kind::Network);
    }
    if maps.is_some() {
        kinds.push(Kind::User);
    }
    let namespaces = kinds.into_iter().map(|kind| {
        let mut namespace = oci::LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    });
    let owned = |paths: &[&str]| Some(paths.iter().map(|&it| it.to_owned()).collect());
    let mut linux = oci::Linux::default();
    linux
        .set_namespaces(Some(namespaces.collect()))
        .set_uid_mappings(maps.map(|it| mappings(&it.uids)))
        .set_gid_mappings(maps.map(|it| mappings(&it.gids)))
        .set_resources(None)
        .set_masked_paths(owned(&MASKED))
        .set_readonly_paths(owned(&READ_ONLY))
        .set_seccomp(Some(seccomp::section()));
    linux
}

fn mappings(ranges: &[Range]) -> Vec<oci::LinuxIdMapping> {
    let mapping = |it: &Range| {
        oci::LinuxIdMappingBuilder::default()
            .container_id(it.inside)
            .host_id(it.outside)
            .size(it.count)
            .build()
            .expect("every field has a default")
    };
    ranges.iter().map(mapping).collect()
}

fn mounts(container: &Container, maps: Option<&IdMaps>) -> Result<Vec<oci::Mount>, Error> {
    const TTY: u32 = 5;
    let tty = maps.is_none_or(|it| it.has(container.user.uid, TTY));
    let pts = if tty { "mode=0620,gid=5" } else { "mode=0620" };
    // Only whoever owns the network namespace may mount it anew.
    let sys: (&str, &str, &str, &[&str]) = match container.network {
        Network::Host => (
            "/sys",
            "bind",
            "/sys",
            &["rbind", "nosuid", "noexec", "nodev", "rro"],
        ),
        Network::None => (
            "/sys",
            "sysfs",
            "sysfs",
            &["nosuid", "noexec", "nodev", "ro"],
        ),
    };
    let usual: [(&str, &str, &str, &[&str]); 6] = [
        ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        (
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
        ),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", pts],
        ),
        (
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
        (
            "/dev/mqueue",
            "mqueue",
            "mqueue",
            &["nosuid", "noexec", "nodev"],
        ),
        sys,
    ];
    let usual = usual.into_iter().map(|(target, kind, source, options)| {
        let options = options.iter().flat_map(|it| it.split(','));
        Ok(mount(target.into(), kind, source.into(), options))
    });
    usual
        .chain(container.mounts.iter().map(own_mount))
        .collect()
}

fn own_mount(it: &Mount) -> Result<oci::Mount, Error> {
    match it {
        Mount::Bind {
            source,
            target,
            read_only,
        } => {
            text(source.as_os_str(), "the source of a mount")?;
            let access = match (read_only, source.is_dir()) {
                (false, _) => "rw",
                // With all that is mounted below it, which crun takes ill of a file.
                (true, true) => "rro",
                (true, false) => "ro",
            };
            let options = ["rbind", "rprivate", "nosuid", "nodev", access];
            Ok(mount(
                point(target)?,
                "bind",
                source.clone(),
                options.into_iter(),
            ))
        }
        Mount::Tmpfs { target, mode } => {
            let mode = format!("mode={mode:o}");
            let options = ["nosuid", "nodev", &mode];
            Ok(mount(
                point(target)?,
                "tmpfs",
                "tmpfs".into(),
                options.into_iter(),
            ))
        }
    }
}

fn mount<'a>(
    target: PathBuf,
    kind: &str,
    source: PathBuf,
    options: impl Iterator<Item = &'a str>,
) -> oci::Mount {
    let mut mount = oci::Mount::default();
    mount
        .set_destination(target)
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source))
        .set_options(Some(options.map(str::to_owned).collect()));
    mount
}

/// Checks a mount point: neither `/`, nor anything that a container's own view of its processes could hide behind.
fn point(target: &Path) -> Result<PathBuf, Error> {
    let path = inside(target)?;
    let refused = path == Path::new("/") || path.starts_with("/proc");
    if refused {
        let text = format!("nothing can be mounted at {}", target.display());
        return Err(Error::Container(text));
    }
    Ok(path)
}

/// Checks a working directory: below `/proc` there are ways to what a runtime has open.
fn cwd(path: &Path) -> Result<PathBuf, Error> {
    let path = inside(path)?;
    if path.starts_with("/proc") {
        let text = format!("the working directory cannot be {}", path.display());
        return Err(Error::Container(text));
    }
    Ok(path)
}

/// Checks a path inside: absolute, without `..`, UTF-8 as JSON asks; and writes it plainly.
fn inside(path: &Path) -> Result<PathBuf, Error> {
    text(path.as_os_str(), "a path inside the container")?;
    let wrong = |what| Error::Container(format!("the path {} {what}", path.display()));
    if !path.is_absolute() {
        return Err(wrong("inside the container must be absolute"));
    }
    if path.components().any(|it| it == Component::ParentDir) {
        return Err(wrong("inside the container must not hold \"..\""));
    }
    Ok(path.components().collect())
}

fn text(value: &OsStr, what: &str) -> Result<String, Error> {
    let value = value
        .to_str()
        .ok_or_else(|| Error::Container(format!("{what} is not UTF-8: {}", value.display())))?;
    if value.contains('\0') {
        return Err(Error::Container(format!("{what} holds a zero byte")));
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests;
