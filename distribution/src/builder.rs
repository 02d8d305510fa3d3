//! Builder images: read from their labels, and made from a builder.toml.
