//! Buildpackages (DST-001 to DST-008).
