//! The lifecycle package: what a builder's `/cnb/lifecycle` is filled from (DST-020 to DST-028).
