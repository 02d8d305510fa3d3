//! Beginnings and ends: signals from outside, killed callers, what is left.

use crate::kit::Test;

pub(crate) static ALL: &[Test] = &[];
