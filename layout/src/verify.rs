//! Checks that a layout holds what it says: structure, sizes, digests, diffIDs.
//!
//! Every problem is reported, not only the first. What is written elsewhere in this crate links
//! blobs without reading them: this is where their content is checked.
