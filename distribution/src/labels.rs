//! The labels of builders and packages, as JSON (DST-004 to DST-007, DST-010 to DST-016).
