//! Images by the names that platforms use, from where the inputs say that images are (LAY-005 to LAY-013, COM-045 to
//! COM-049, COM-055 to COM-058, COM-072).
//!
//! A phase has one [`ImageStore`]: OCI layouts below a directory, a daemon, or registries. Only it and [`Output`] know
//! which. Nothing is asked of a registry before an image of it is wanted; credentials are looked up and a daemon's socket
//! is opened while the phase still has the rights that the platform gave it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use daemon::Engine;
pub use daemon::LayerTars;
use layout::{Digest, Image, Layout, Reference, Selector, index};
use registry::{Client, Keychain, Options, Trust, keychain};
use tracing::{debug, info, warn};

use crate::exit::{ExitCode, Failure};
use crate::inputs::{ImageSource, Variables, variables};
use crate::output::Output;

/// Where the images of a phase are.
#[derive(Clone, Debug)]
pub struct ImageStore {
    place: Place,
    options: Options,
    client: Client,
}

#[derive(Clone, Debug)]
enum Place {
    /// Below this directory.
    Layouts(PathBuf),
    Daemon(Engine),
    Registries,
}

/// An image that was looked for.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// Its name as log lines and files show it: its path, in a layout directory.
    pub name: String,
    /// The image, if there is one of that name.
    pub image: Option<Image>,
    reference: String,
}

impl NamedImage {
    /// Opens the files of the image's layers, as [`Image::hold`] does.
    #[must_use]
    pub fn hold(self) -> Self {
        Self {
            image: self.image.map(Image::hold),
            ..self
        }
    }

    /// Returns what later phases find the same image by, or an empty text where it was not found (COM-072):
    /// `<path>@<digest>` in a layout, `<registry>/<repository>@<digest>` in a registry, the image's ID in a daemon.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

/// An image as `analyzed.toml` names it: what [`NamedImage::reference`] gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Without the digest, for images in layouts.
    name: String,
    reference: String,
    /// Where one can be chosen among several images.
    digest: Option<Digest>,
}

impl Recorded {
    /// Returns the image's path in a layout directory; elsewhere the reference itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text as it stands in `analyzed.toml`.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

impl ImageStore {
    /// Returns the store that the inputs name. A daemon is connected to; layouts and registries are not touched.
    ///
    /// Exit 1 where the platform's credentials make no sense (COM-046) or no daemon answers (COM-039).
    pub fn new(source: &ImageSource, variables: &Variables) -> Result<Self, Failure> {
        let options = options(source, variables)
            .map_err(|cause| Failure::new(ExitCode::Failed, "resolve keychain", cause))?;
        let place = match &source.layout_dir {
            Some(dir) => Place::Layouts(dir.clone()),
            None if source.daemon => Place::Daemon(connected(variables).map_err(|cause| {
                Failure::new(ExitCode::Failed, "initialize docker client", cause)
            })?),
            None => Place::Registries,
        };
        Ok(Self {
            client: Client::new(options.clone()),
            place,
            options,
        })
    }

    /// Looks up the credentials for the registries of these names, for use by whoever may not read them later (COM-049).
    /// What cannot be had is done without. A cache image is always in a registry, other images need not be.
    #[must_use]
    pub fn with_credentials_for<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
        cache_image: Option<&'a str>,
    ) -> Self {
        let names = names.into_iter().filter(|_| self.is_registry());
        let registries: Vec<_> = names
            .chain(cache_image)
            .filter_map(|name| Some(Reference::parse(name).ok()?.registry))
            .collect();
        let registries = registries.iter().map(String::as_str);
        let (keychain, failures) = self.options.keychain.resolved(registries);
        for failure in failures {
            debug!("Credentials are done without: {failure}");
        }
        let options = Options {
            keychain,
            ..self.options
        };
        Self {
            client: Client::new(options.clone()),
            options,
            place: self.place,
        }
    }

    /// Returns whether images are in registries.
    pub fn is_registry(&self) -> bool {
        matches!(self.place, Place::Registries)
    }

    /// Returns whether images are in a daemon.
    pub fn is_daemon(&self) -> bool {
        matches!(self.place, Place::Daemon(_))
    }

    /// Returns whether images are in OCI layouts.
    pub fn is_layouts(&self) -> bool {
        matches!(self.place, Place::Layouts(_))
    }

    /// Returns the client of registries, where cache images are wherever other images are (COM-091).
    pub fn registries(&self) -> &Client {
        &self.client
    }

    /// Looks an image up by name. One that is not there is no error.
    pub fn find(&self, name: &str) -> anyhow::Result<NamedImage> {
        self.find_among(name, &Selector::default())
    }

    /// Looks an image up by name; where there are several, `selector` says which.
    pub fn find_among(&self, name: &str, selector: &Selector) -> anyhow::Result<NamedImage> {
        match &self.place {
            Place::Layouts(dir) => in_layout(name, dir, selector),
            Place::Daemon(engine) => in_daemon(engine, name, None),
            Place::Registries => self.in_registry(name, selector),
        }
    }

    /// Looks an image up by name; a daemon need not be asked for layers that `tars` has (ANA-023).
    pub fn find_with_tars(
        &self,
        name: &str,
        tars: Option<Arc<dyn LayerTars>>,
    ) -> anyhow::Result<NamedImage> {
        match &self.place {
            Place::Daemon(engine) => in_daemon(engine, name, tars),
            _ => self.find(name),
        }
    }

    /// Looks an image up in its registry, wherever other images are.
    pub fn find_in_registry(&self, name: &str) -> anyhow::Result<NamedImage> {
        self.in_registry(name, &Selector::default())
    }

    /// Reads the reference of an image in `analyzed.toml`.
    pub fn recorded(&self, reference: &str) -> anyhow::Result<Recorded> {
        let recorded = |name: &str, digest| Recorded {
            name: name.to_owned(),
            reference: reference.to_owned(),
            digest,
        };
        match &self.place {
            Place::Layouts(_) => {
                let describe =
                    || format!("identifier {reference} does not have the format '[path]@[digest]'");
                let (path, digest) = reference.split_once('@').with_context(describe)?;
                let digest = digest.parse().with_context(describe)?;
                Ok(recorded(path, Some(digest)))
            }
            Place::Daemon(_) => Ok(recorded(reference, None)),
            Place::Registries => {
                Reference::parse(reference)?;
                Ok(recorded(reference, None))
            }
        }
    }

    /// Opens such an image.
    ///
    /// In a layout the digest chooses among several; what replaced it since the analysis is taken as well, as the
    /// reference does.
    pub fn open(
        &self,
        recorded: &Recorded,
        tars: Option<Arc<dyn LayerTars>>,
    ) -> anyhow::Result<NamedImage> {
        if !self.is_layouts() {
            return self.find_with_tars(&recorded.reference, tars);
        }
        let layout = Layout::at(&recorded.name);
        let exact = Selector {
            digest: recorded.digest.clone(),
            ..Selector::default()
        };
        let image = layout.image(&exact).or_else(|error| {
            debug!("{error}");
            layout.image(&Selector::default())
        })?;
        Ok(at_path(&layout, image))
    }

    /// Returns where an image of that name goes (LAY-005 to LAY-007: in a layout directory it is always mapped).
    pub fn output(&self, name: &str) -> anyhow::Result<Output> {
        match &self.place {
            Place::Layouts(dir) => Ok(Output::named(name, dir)?),
            Place::Daemon(engine) => {
                let reference = Reference::parse(name)?;
                Ok(Output::in_daemon(engine.clone(), name, reference))
            }
            Place::Registries => {
                let reference = Reference::parse(name)?;
                Ok(Output::in_registry(self.client.clone(), name, reference))
            }
        }
    }

    /// Returns whether an image of that name could be read. In layouts and daemons there is nobody who would say no.
    pub fn can_read(&self, name: &str) -> bool {
        if !self.is_registry() {
            return true;
        }
        let checked = Reference::parse(name)
            .map_err(anyhow::Error::from)
            .and_then(|name| Ok(self.client.can_read(&name)?));
        if let Err(error) = &checked {
            warn!("Image {name} cannot be read: {error:#}");
        }
        checked.is_ok()
    }

    /// Checks that images of these names can be read, and images of those names written, if they are in registries; a
    /// cache image always is (ANA-011, ANA-012).
    pub fn check_access(
        &self,
        read: &[&str],
        write: &[&str],
        cache_image: Option<&str>,
    ) -> anyhow::Result<()> {
        let (read, write) = if self.is_registry() {
            (read, write)
        } else {
            Default::default()
        };
        let mut readable = Vec::new();
        for name in read {
            let reference = Reference::parse(name)?;
            let checked = self.client.can_read(&reference);
            readable.push(reference);
            checked.with_context(|| {
                format!("validating registry read access: failed to ensure registry read access to {name}")
            })?;
        }
        for name in cache_image.iter().chain(write) {
            let reference = Reference::parse(name)?;
            // The previous image, as a rule: nobody is asked twice.
            let checked = if readable.contains(&reference) {
                self.client.can_write(&reference)
            } else {
                self.client.can_read_and_write(&reference)
            };
            checked.with_context(|| {
                format!("validating registry write access: failed to ensure registry read/write access to {name}")
            })?;
        }
        Ok(())
    }

    /// Returns whether an image that was found has all its layers, as far as that can be asked cheaply: in a registry it
    /// can, in layouts and daemons it counts as whole (ANA-015).
    pub fn is_whole(&self, found: &NamedImage) -> anyhow::Result<bool> {
        match (&found.image, &self.place) {
            (Some(image), Place::Registries) => Ok(self.client.has_layers(image)?),
            _ => Ok(true),
        }
    }

    fn in_registry(&self, name: &str, selector: &Selector) -> anyhow::Result<NamedImage> {
        let reference = Reference::parse(name)?;
        let image = match self.client.image(&reference, selector) {
            // An index of images for other platforms has none for this one (COM-057).
            Err(registry::Error::Index(error))
                if matches!(*error, index::Error::NoMatch { .. }) =>
            {
                info!("{error}");
                None
            }
            image => image.with_context(|| format!("connect to repo store {name:?}"))?,
        };
        let digest = image.as_ref().map(Image::digest);
        Ok(NamedImage {
            name: name.to_owned(),
            reference: digest
                .map_or_else(String::new, |it| format!("{}@{it}", reference.context())),
            image,
        })
    }
}

/// Returns whether images of a name can be read, for a phase that is still to learn which it will need (COM-055).
///
/// Credentials are looked up where they are, and nothing is kept.
pub fn read_access<'a>(
    source: &'a ImageSource,
    variables: &'a Variables,
) -> impl Fn(&str) -> bool + 'a {
    let client = std::cell::OnceCell::new();
    move |name| {
        if source.layout_dir.is_some() || source.daemon {
            return true;
        }
        let client = client.get_or_init(|| options(source, variables).map(Client::new));
        let checked = match (client, Reference::parse(name)) {
            (Ok(client), Ok(name)) => client.can_read(&name).map_err(anyhow::Error::from),
            (Err(error), _) => Err(anyhow!("{error}")),
            (_, Err(error)) => Err(error.into()),
        };
        if let Err(error) = &checked {
            warn!("Run image {name} cannot be read: {error:#}");
        }
        checked.is_ok()
    }
}

fn options(source: &ImageSource, variables: &Variables) -> Result<Options, keychain::Error> {
    let variable = |name: &str| variables.get_os(name).map(ToOwned::to_owned);
    let config = keychain::config_file(variable);
    Ok(Options {
        keychain: Keychain::new(variables.get(variables::REGISTRY_AUTH), config)?,
        insecure: source.insecure_registries.clone(),
        trust: Trust::of(variable),
        ..Options::default()
    })
}

fn connected(variables: &Variables) -> Result<Engine, daemon::Error> {
    let host = variables.get(variables::DOCKER_HOST).unwrap_or_default();
    let engine = Engine::at(host)?;
    engine.hold()?;
    Ok(engine)
}

fn in_layout(name: &str, dir: &Path, selector: &Selector) -> anyhow::Result<NamedImage> {
    let layout = Layout::at(layout::name::layout_path_to_read(name, dir)?);
    let image = layout
        .image(selector)
        .context("failed to load image from index")?;
    Ok(at_path(&layout, image))
}

fn at_path(layout: &Layout, image: Option<Image>) -> NamedImage {
    let name = layout.path().display().to_string();
    let digest = image.as_ref().map(Image::digest);
    NamedImage {
        reference: digest.map_or_else(String::new, |digest| format!("{name}@{digest}")),
        name,
        image,
    }
}

fn in_daemon(
    engine: &Engine,
    name: &str,
    tars: Option<Arc<dyn LayerTars>>,
) -> anyhow::Result<NamedImage> {
    let image = engine.image(name, tars)?;
    let id = image.as_ref().map(|image| bare(image.digest()));
    Ok(NamedImage {
        name: name.to_owned(),
        reference: id.unwrap_or_default(),
        image,
    })
}

/// Returns a daemon's image ID without the algorithm, as it stands in files (COM-072).
pub(crate) fn bare(id: &Digest) -> String {
    let id = id.to_string();
    id.split_once(':')
        .map_or(id.as_str(), |(_, hex)| hex)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use layout::digest::sha256;

    use super::*;

    /// Writes a blob, and returns its descriptor but for the braces.
    fn blob(dir: &Path, text: &str) -> String {
        let digest = sha256(text.as_bytes()).to_string();
        let path = dir.join("blobs").join(digest.replace(':', "/"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        format!(r#""size":{},"digest":"{digest}""#, text.len())
    }

    /// COM-072, in a layout: path and digest of the manifest. What is not there has no reference.
    #[test]
    fn a_reference_is_path_and_digest() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("index.docker.io/library/app/latest");
        let config = blob(
            &dir,
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        );
        let types = "application/vnd.oci.image";
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{types}.config.v1+json",{config}}},"layers":[]}}"#
        );
        let manifest_blob = blob(&dir, &manifest);
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{types}.manifest.v1+json",{manifest_blob}}}]}}"#
        );
        fs_err::write(dir.join("index.json"), index).unwrap();
        fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

        let store = |layout_dir: Option<PathBuf>| {
            let source = ImageSource {
                layout_dir,
                ..ImageSource::default()
            };
            ImageStore::new(&source, &Variables::default()).unwrap()
        };
        let store = store(Some(root.path().to_owned()));
        let expected = format!("{}@{}", dir.display(), sha256(manifest.as_bytes()));
        for name in ["app", "docker.io/library/app:latest", dir.to_str().unwrap()] {
            assert_eq!(store.find(name).unwrap().reference(), expected, "{name}");
        }
        let recorded = store.recorded(&expected).unwrap();
        let opened = store.open(&recorded, None).unwrap();
        assert_eq!(
            (opened.name.as_str(), opened.reference()),
            (recorded.name(), &*expected)
        );
        let absent = store.find("app:2").unwrap();
        assert_eq!((absent.reference(), absent.image.is_none()), ("", true));
    }

    #[test]
    fn a_recorded_reference_is_read_as_its_store_writes_it() {
        let hex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let layouts = ImageSource {
            layout_dir: Some("/layouts".into()),
            ..ImageSource::default()
        };
        let layouts = ImageStore::new(&layouts, &Variables::default()).unwrap();
        let good = format!("/Layout/localhost:5000/App/latest@sha256:{hex}");
        let recorded = layouts.recorded(&good).unwrap();
        assert_eq!(recorded.name(), "/Layout/localhost:5000/App/latest");
        assert_eq!(recorded.reference(), good);
        let twice = format!("/a@b/c@sha256:{hex}");
        for bad in ["", "/path", "/path@", "/path@latest", &twice] {
            let error = layouts.recorded(bad).unwrap_err().to_string();
            let expected = format!("identifier {bad} does not have the format '[path]@[digest]'");
            assert_eq!(error, expected);
        }
        let registries = ImageStore::new(&ImageSource::default(), &Variables::default()).unwrap();
        let good = format!("r.example:5000/app@sha256:{hex}");
        assert_eq!(registries.recorded(&good).unwrap().name(), good);
        let error = registries.recorded("Bad Name").unwrap_err().to_string();
        assert_eq!(error, "could not parse reference: Bad Name");
    }

    /// COM-046, and a daemon that is not there.
    #[test]
    fn what_a_platform_says_wrong_of_stores_exits_1() {
        let ending = |source: &ImageSource, name: &str, value: &str| {
            let variables = Variables::default().with(name, value);
            let failure = ImageStore::new(source, &variables).unwrap_err();
            assert_eq!(failure.code, ExitCode::Failed);
            failure.to_string()
        };
        let text = ending(
            &ImageSource::default(),
            variables::REGISTRY_AUTH,
            "not json",
        );
        let expected = "failed to resolve keychain: reading auth env var: failed to parse CNB_REGISTRY_AUTH value: ";
        assert!(text.starts_with(expected), "{text}");
        let daemon = ImageSource {
            daemon: true,
            ..ImageSource::default()
        };
        let text = ending(&daemon, variables::DOCKER_HOST, "unix:///no/such/socket");
        assert!(
            text.starts_with("failed to initialize docker client: "),
            "{text}"
        );
        assert!(text.contains("unix:///no/such/socket"), "{text}");
    }
}
