//! An OCI bundle: the folder with `config.json` that any OCI runtime takes (runtime-spec, `config.md`).
