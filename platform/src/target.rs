//! What an image runs on, from its config and labels, with the build container's os-release to fall back on (COM-079 to COM-083).
//!
//! What matches what is [`buildpack::target::TargetSpec::matches`]; the variables are [`Target::variables`].

use std::path::Path;

use buildpack::target::{Distro, Target};
use layout::ImageConfig;
use layout::manifest::Platform;

/// Id of the base.
const BASE_ID: &str = "io.buildpacks.base.id";
/// Name of its distribution.
const DISTRO_NAME: &str = "io.buildpacks.base.distro.name";
/// Version of its distribution.
const DISTRO_VERSION: &str = "io.buildpacks.base.distro.version";

/// Where a container says what it is.
pub const OS_RELEASE: &str = "/etc/os-release";

/// Returns the target data of an image (COM-079).
pub fn of_image(config: &ImageConfig) -> Target {
    let (name, version) = (config.label(DISTRO_NAME), config.label(DISTRO_VERSION));
    let distro = (name.is_some() || version.is_some()).then(|| Distro {
        name: name.unwrap_or_default().to_owned(),
        version: version.unwrap_or_default().to_owned(),
    });
    Target {
        id: config.label(BASE_ID).unwrap_or_default().to_owned(),
        os: config.os.clone(),
        arch: config.architecture.clone(),
        arch_variant: config.variant.clone(),
        distro,
    }
}

/// Returns the target that buildpacks see: analyzed.toml's, completed where it has no distribution (COM-082). Logs once where it reads `os_release`.
pub fn for_buildpacks(analyzed: Option<&Target>, os_release: &Path) -> Target {
    let mut target = analyzed.cloned().unwrap_or_default();
    if target.distro.is_some() {
        return target;
    }
    if target.os.is_empty() {
        "linux".clone_into(&mut target.os);
    }
    if target.arch.is_empty() {
        target.arch = this_architecture();
    }
    tracing::info!("target distro name/version labels not found, reading /etc/os-release file");
    let is_file = fs_err::metadata(os_release).is_ok_and(|metadata| !metadata.is_dir());
    if is_file {
        match fs_err::read(os_release) {
            Ok(text) => target.distro = distro_in(&String::from_utf8_lossy(&text)),
            Err(error) => tracing::warn!("The distribution is not known: {error}"),
        }
    }
    target
}

/// Returns this program's architecture in Go's words, `amd64`.
pub fn this_architecture() -> String {
    Platform::host().architecture
}

/// Returns what an os-release file says, read as loosely as the reference reads it: no escapes, no single quotes.
fn distro_in(text: &str) -> Option<Distro> {
    let mut distro = Distro::default();
    for line in text.split('\n') {
        let [key, value] = line.split('=').collect::<Vec<_>>()[..] else {
            continue;
        };
        let value = value.trim_matches(['"', ' ']);
        match key {
            "ID" => value.clone_into(&mut distro.name),
            "VERSION_ID" => value.clone_into(&mut distro.version),
            _ => {}
        }
        if !distro.name.is_empty() && !distro.version.is_empty() {
            break;
        }
    }
    (distro != Distro::default()).then_some(distro)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    const READING: &str =
        "INFO target distro name/version labels not found, reading /etc/os-release file\n";

    fn distro(name: &str, version: &str) -> Distro {
        Distro {
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    #[test]
    fn image_says_what_it_is() {
        let mut config = ImageConfig {
            os: "linux".to_owned(),
            architecture: "arm".to_owned(),
            variant: "v7".to_owned(),
            ..ImageConfig::default()
        };
        let bare = of_image(&config);
        assert_eq!(
            (
                bare.os.as_str(),
                bare.arch.as_str(),
                bare.arch_variant.as_str()
            ),
            ("linux", "arm", "v7")
        );
        assert_eq!((bare.id.as_str(), bare.distro), ("", None));
        let labels = &mut config.config.labels;
        labels.insert(DISTRO_VERSION.to_owned(), "24.04".to_owned());
        labels.insert(BASE_ID.to_owned(), "acme.base".to_owned());
        let labelled = of_image(&config);
        assert_eq!(labelled.distro, Some(distro("", "24.04")));
        assert_eq!(labelled.id, "acme.base");
        let labels = &mut config.config.labels;
        labels.remove(DISTRO_VERSION);
        labels.insert(DISTRO_NAME.to_owned(), "ubuntu".to_owned());
        assert_eq!(of_image(&config).distro, Some(distro("ubuntu", "")));
        // COM-080: the stack of an image says nothing of its distribution.
        let stack = ("io.buildpacks.stack.id", "io.buildpacks.stacks.bionic");
        config.config.labels = [(stack.0.to_owned(), stack.1.to_owned())].into();
        let with_stack = of_image(&config);
        assert_eq!((with_stack.id.as_str(), with_stack.distro), ("", None));
    }

    #[test]
    fn os_release_is_read_loosely() {
        for (text, expected) in [
            (
                "ID=ubuntu\nVERSION_ID=\"24.04\"\n",
                Some(distro("ubuntu", "24.04")),
            ),
            (
                "VERSION_ID=\"3 \"\nID= \"alpine\"",
                Some(distro("alpine", "3")),
            ),
            ("ID=debian\n", Some(distro("debian", ""))),
            ("VERSION_ID=12\n", Some(distro("", "12"))),
            ("ID=a=b\nVERSION_ID=1\n", Some(distro("", "1"))),
            ("ID\nVERSION_ID=1\n", Some(distro("", "1"))),
            (" ID=ubuntu\nID_LIKE=debian\n", None),
            ("ID='arch'\n", Some(distro("'arch'", ""))),
            ("ID=one\nVERSION_ID=1\nID=two\n", Some(distro("one", "1"))),
            ("ID=\nVERSION_ID=\"\"\n", None),
            ("", None),
        ] {
            assert_eq!(distro_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn missing_distribution_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("os-release");
        fs_err::write(&file, "ID=ubuntu\nVERSION_ID=24.04\n").unwrap();
        let known = Target {
            os: "windows".to_owned(),
            distro: Some(distro("x", "")),
            ..Target::default()
        };
        let (target, log) = captured(|| for_buildpacks(Some(&known), &file));
        assert_eq!((target, log.as_str()), (known.clone(), ""));

        let unknown = Target {
            distro: None,
            ..known
        };
        let (target, log) = captured(|| for_buildpacks(Some(&unknown), &file));
        assert_eq!(target.os, "windows");
        assert_eq!(target.arch, this_architecture());
        assert_eq!(
            (target.distro, log.as_str()),
            (Some(distro("ubuntu", "24.04")), READING)
        );

        for nowhere in [dir.path().to_owned(), dir.path().join("no")] {
            let (target, log) = captured(|| for_buildpacks(None, &nowhere));
            assert_eq!((target.os.as_str(), target.distro), ("linux", None));
            assert_eq!(log, READING);
        }
    }
}
