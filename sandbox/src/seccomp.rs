//! Which system calls a container may make: what container engines allow by default.
