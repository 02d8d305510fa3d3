//! Telling somebody who waits how far blobs are that are sent.

use std::fmt::Debug;

use layout::manifest::Descriptor;

/// Somebody who wants to know what is sent.
pub trait Watch: Debug + Send + Sync {
    /// So many blobs are about to be sent to `<registry>/<repository>`; those that are there or can be mounted are not.
    fn begin(&self, to: &str, count: usize) -> Box<dyn Sending>;
}

/// Blobs on their way, several at once.
pub trait Sending: Sync {
    /// One begins; what is returned is told how many bytes of it are on their way, and dropped when no more come.
    fn blob<'a>(&'a self, blob: &Descriptor) -> Box<dyn FnMut(u64) + 'a>;
}

/// Nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nobody;

impl Watch for Nobody {
    fn begin(&self, _: &str, _: usize) -> Box<dyn Sending> {
        Box::new(Self)
    }
}

impl Sending for Nobody {
    fn blob<'a>(&'a self, _: &Descriptor) -> Box<dyn FnMut(u64) + 'a> {
        Box::new(|_| {})
    }
}
