//! Profile scripts, which a shell sources before a process (BPX-041, BPX-042, BPL-031).

use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};
use crate::files;
use crate::layers::{self, Layers};

/// The app's own script; it is sourced in the app directory under this name.
const APP_PROFILE: &str = ".profile";

/// Returns the scripts of all layers and then the app's.
pub(crate) fn scripts(layers: Layers<'_>, app_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut scripts = Vec::new();
    for of_buildpack in layers.by_buildpack() {
        for layer in of_buildpack? {
            for dir in layers.kind(&layer, "profile.d") {
                scripts.extend(layers::files_in(&dir)?);
            }
        }
    }
    let app_profile = app_dir.join(APP_PROFILE);
    let found = files::find(&app_profile).context(format_args!(
        "failed to determine if app profile script exists at path '{}'",
        app_profile.display()
    ))?;
    if found.is_some_and(|found| !found.is_dir()) {
        scripts.push(APP_PROFILE.into());
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BuildpackApi, Version};
    use crate::metadata::Buildpack;

    #[test]
    fn scripts_come_by_buildpack_layer_and_type() {
        let temp = tempfile::tempdir().unwrap();
        for name in [
            "one/a/profile.d/2.sh",
            "one/a/profile.d/10.sh",
            "one/a/profile.d/web/9.sh",
            "one/a/profile.d/other/never.sh",
            "one/b/profile.d/0.sh",
            "two/a/profile.d/web/1.sh",
        ] {
            let path = temp.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let buildpacks = [("two", "0.7"), ("one", "0.12")].map(|(id, api)| Buildpack {
            id: id.into(),
            api: BuildpackApi::supported(Version::parse(api).unwrap()).unwrap(),
        });
        let in_order = |names: &[&str]| {
            names
                .iter()
                .map(|name| temp.path().join(name))
                .collect::<Vec<_>>()
        };
        for (process_type, expected) in [
            (
                Some("web"),
                &[
                    "two/a/profile.d/web/1.sh",
                    "one/a/profile.d/10.sh",
                    "one/a/profile.d/2.sh",
                    "one/a/profile.d/web/9.sh",
                    "one/b/profile.d/0.sh",
                ][..],
            ),
            (
                None,
                &[
                    "one/a/profile.d/10.sh",
                    "one/a/profile.d/2.sh",
                    "one/b/profile.d/0.sh",
                ],
            ),
        ] {
            let layers = Layers::new(temp.path(), &buildpacks, process_type);
            assert_eq!(
                scripts(layers, Path::new("/missing")).unwrap(),
                in_order(expected)
            );
        }
    }

    #[test]
    fn the_apps_script_is_named_relatively_if_it_is_no_directory() {
        let temp = tempfile::tempdir().unwrap();
        let of_app =
            |app: &Path| scripts(Layers::new(Path::new("/missing"), &[], None), app).unwrap();
        let make: [fn(&Path); 4] = [
            |_| {},
            |profile| fs_err::write(profile, "").unwrap(),
            |profile| fs_err::create_dir(profile).unwrap(),
            |profile| fs_err::os::unix::fs::symlink("/dev/null", profile).unwrap(),
        ];
        for (index, (make, found)) in make.into_iter().zip([false, true, false, true]).enumerate() {
            let app = temp.path().join(index.to_string());
            fs_err::create_dir(&app).unwrap();
            make(&app.join(".profile"));
            let expected: Vec<_> = found
                .then(|| PathBuf::from(".profile"))
                .into_iter()
                .collect();
            assert_eq!(of_app(&app), expected, "{index}");
        }
    }
}
