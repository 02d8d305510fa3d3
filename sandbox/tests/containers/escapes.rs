//! What a container must not reach, a test for each class of hole that runtimes have had.

use crate::kit::Test;

pub(crate) static ALL: &[Test] = &[];
