//! Checks that a layout holds what it says: structure, sizes, digests, diffIDs.
