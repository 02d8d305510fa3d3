//! Modules and packages that tests put together.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fs_err as fs;
use layout::{Image, Layout, Selector};
use tempfile::TempDir;

use crate::package::{self, Images, Sources};

/// A folder in which things are made. An image has the name of its layout's folder in `images`.
#[derive(Debug)]
pub(crate) struct Workshop(TempDir);

impl Images for Workshop {
    fn is_here(&self, name: &str) -> bool {
        self.path("images").join(name).is_dir()
    }

    fn open(&self, name: &str) -> anyhow::Result<Image> {
        let layout = Layout::at(self.path("images").join(name));
        let image = layout.image(&Selector::default())?;
        image.with_context(|| format!("nobody has an image {name}"))
    }
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.path("scratch")
    }

    pub(crate) fn sources<'a>(&'a self, scratch: &'a Path) -> Sources<'a> {
        Sources {
            relative_to: self.dir(),
            scratch,
            images: self,
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Makes a buildpack in a folder; `more` is the rest of its descriptor.
    pub(crate) fn buildpack(&self, folder: &str, id: &str, version: &str, more: &str) -> PathBuf {
        let text = format!(
            "api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"{version}\"\nname = \"{id}\"\n{more}"
        );
        self.write(&format!("{folder}/buildpack.toml"), &text);
        if !more.contains("[[order]]") {
            self.write(&format!("{folder}/bin/detect"), "#!/bin/sh\n");
            self.write(
                &format!("{folder}/bin/build"),
                &format!("#!/bin/sh\necho {id}\n"),
            );
        }
        self.path(folder)
    }

    /// Makes an extension in a folder.
    pub(crate) fn extension(&self, folder: &str, id: &str, version: &str) -> PathBuf {
        let text = format!("api = \"0.10\"\n[extension]\nid = \"{id}\"\nversion = \"{version}\"\n");
        self.write(&format!("{folder}/extension.toml"), &text);
        self.write(&format!("{folder}/bin/generate"), "#!/bin/sh\n");
        self.path(folder)
    }

    /// Makes a folder as a build of the lifecycle leaves it.
    pub(crate) fn lifecycle(&self, folder: &str) -> PathBuf {
        for (name, text) in [
            ("lifecycle", "a lifecycle"),
            ("launcher", "a launcher"),
            ("launcher.sbom.cdx.json", "{}"),
            ("other.sbom.cdx.json", "{}"),
            ("other", ""),
            ("deps/other", ""),
        ] {
            self.write(&format!("{folder}/{name}"), text);
        }
        self.path(folder)
    }

    /// Makes three buildpacks, `all` of which names `acme/one@1` and `acme/two@2`, and a package.toml of them.
    pub(crate) fn composite(&self) -> package::Config {
        self.buildpack("one", "acme/one", "1", "");
        self.buildpack("two", "acme/two", "2", "[[stacks]]\nid = \"*\"\n");
        self.buildpack(
            "all",
            "acme/all",
            "0.3",
            concat!(
                "[[order]]\n[[order.group]]\nid = \"acme/one\"\nversion = \"1\"\n",
                "[[order.group]]\nid = \"acme/two\"\nversion = \"2\"\noptional = true\n",
            ),
        );
        let text = "[buildpack]\nuri = \"all\"\n[[dependencies]]\nuri = \"two\"\n[[dependencies]]\nuri = \"./one\"\n";
        package::Config::read(&self.write("package.toml", text)).unwrap()
    }
}
