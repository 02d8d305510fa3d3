//! Packages that are images by their names: where pack's flags and files name one, it is found as every image is.
//!
//! `docker://NAME` is how pack has an image written there, wherever it is: in the layout repo, or pulled as the policy says.

use distribution::package::Images;
use layout::Image;
use layout::manifest::Platform;

use super::ImageName;
use super::stores::Stores;

/// Packages in the layout repo, in registries and in a daemon.
#[derive(Debug)]
pub(crate) struct Packages<'a> {
    /// Where images come from.
    pub(crate) stores: &'a Stores<'a>,
    /// Which one to take of several; this machine's without it.
    pub(crate) platform: Option<Platform>,
    /// What is done with them.
    pub(crate) purpose: Purpose,
}

/// What packages are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be used, now and again: they are pulled.
    Use,
    /// To be looked at: nothing stays here.
    Look,
}

impl Images for Packages<'_> {
    fn is_here(&self, name: &str) -> bool {
        ImageName::parse(name).is_ok_and(|it| it.is_here(self.stores))
    }

    fn open(&self, name: &str) -> anyhow::Result<Image> {
        let name = ImageName::parse(name)?;
        match self.purpose {
            Purpose::Use => name.open(self.stores, self.platform.as_ref()),
            Purpose::Look => name.view(self.stores, self.platform.as_ref()),
        }
    }
}
