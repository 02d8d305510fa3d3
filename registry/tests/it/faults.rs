//! Faults on the way.
