//! A buildpack or extension by itself: a directory with its descriptor, or a gzip tar of one.
