//! Image layouts in a tar: `.cnb` files and `oci-archive:` images.
