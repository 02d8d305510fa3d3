//! HOME of the build's user, from the builder's own list of users, as container engines set it.

use std::ffi::OsString;
use std::path::PathBuf;

use fs_err as fs;
use platform::privileges;

/// Adds HOME to an image's variables, unless the image sets it.
pub(super) fn add(env: &mut Vec<(OsString, OsString)>, layers: &[PathBuf], uid: u32) {
    if env.iter().any(|(name, _)| name == "HOME") {
        return;
    }
    let home = of(layers, uid).unwrap_or_else(|| "/".to_owned());
    env.push(("HOME".into(), home.into()));
}

/// Looks into the topmost `/etc/passwd`; a link there is not followed, as it would lead to this machine's.
fn of(layers: &[PathBuf], uid: u32) -> Option<String> {
    let passwd = layers.iter().rev().find_map(|layer| {
        let etc = layer.join("etc");
        let plain = fs::symlink_metadata(&etc).is_ok_and(|it| it.is_dir());
        let file = etc.join("passwd");
        let is_file = plain && fs::symlink_metadata(&file).is_ok_and(|it| it.is_file());
        is_file.then(|| fs::read(&file).ok())?
    })?;
    let (home, _) = privileges::entry_of(uid, &String::from_utf8_lossy(&passwd))?;
    home.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_list_counts_and_links_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, passwd: Option<&str>| {
            let layer = dir.path().join(name);
            fs::create_dir_all(layer.join("etc")).unwrap();
            if let Some(text) = passwd {
                fs::write(layer.join("etc/passwd"), text).unwrap();
            }
            layer
        };
        let base = layer(
            "base",
            Some("root:x:0:0::/root:/bin/sh\nold:x:1000:1000::/old:/bin/sh\n"),
        );
        let middle = layer("middle", Some("cnb:x:1000:1000::/home/cnb:/bin/sh\n"));
        let top = layer("top", None);
        let link = dir.path().join("link");
        fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink("/etc", link.join("etc")).unwrap();

        let layers = [base.clone(), middle, top, link];
        assert_eq!(of(&layers, 1000).as_deref(), Some("/home/cnb"));
        assert_eq!(of(&layers[..1], 1000).as_deref(), Some("/old"));
        assert_eq!(of(&layers, 7), None);

        let mut env = vec![("HOME".into(), "/mine".into())];
        add(&mut env, &layers, 1000);
        assert_eq!(env.len(), 1);
        let mut env = Vec::new();
        add(&mut env, &[], 1000);
        assert_eq!(env, [("HOME".into(), "/".into())]);
    }
}
