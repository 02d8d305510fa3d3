use super::*;

fn read(text: &str) -> anyhow::Result<Config> {
    let home = tempfile::tempdir()?;
    fs_err::write(home.path().join(FILE), text)?;
    Config::read(home.path())
}

#[test]
fn without_a_file_everything_has_its_default() {
    for config in [
        Config::read(Path::new("/no/such/home")).unwrap(),
        Config {
            home: "/no/such/home".into(),
            ..read("").unwrap()
        },
        Config {
            home: "/no/such/home".into(),
            ..read("layout-repo-dir = \"\"\ndefault-builder-image = \"\"\npull-policy = \"\"")
                .unwrap()
        },
    ] {
        assert!(!config.experimental());
        let expected = Path::new("/no/such/home/layout-repo");
        assert_eq!(config.layout_repo_dir(), expected);
        assert_eq!(config.volumes_dir(), Path::new("/no/such/home/volumes"));
        assert_eq!(config.default_builder(), None);
        assert_eq!(config.lifecycle_image(), None);
        assert_eq!(config.pull_policy().unwrap(), PullPolicy::IfNotPresent);
        assert_eq!(config.run_images().len(), 0);
        assert_eq!(config.run_image_mirrors("run"), [""; 0]);
        assert_eq!(config.trusted_builders().count(), 0);
        assert_eq!(config.registries().count(), 0);
        assert_eq!(config.registry_mirrors().len(), 0);
    }
}

/// As pack 0.40 writes it.
#[test]
fn a_file_of_packs_is_read() {
    let config = read(
        r#"
        default-registry = "mine"
        default-builder-image = "cnbs/sample-builder:noble"
        pull-policy = "if-not-present"
        experimental = true
        lifecycle-image = "buildpacksio/lifecycle:0.20.0"
        layout-repo-dir = "~/layouts"

        [[run-images]]
          image = "cnbs/sample-stack-run:noble"
          mirrors = ["b.example.org/run", "a.example.org/run"]

        [[trusted-builders]]
          name = "one/builder"

        [[trusted-builders]]
          name = "two/builder:tag"

        [[registries]]
          name = "mine"
          type = "github"
          url = "https://example.org/index"

        [registry-mirrors]
          "*" = "10.0.0.1"
          "index.docker.io" = "10.0.0.2"
        "#,
    )
    .unwrap();
    assert!(config.experimental());
    assert_eq!(config.layout_repo_dir(), Path::new("~/layouts"));
    assert_eq!(config.default_builder(), Some("cnbs/sample-builder:noble"));
    assert_eq!(
        config.lifecycle_image(),
        Some("buildpacksio/lifecycle:0.20.0")
    );
    assert_eq!(config.pull_policy().unwrap(), PullPolicy::IfNotPresent);
    let mirrors = config.run_image_mirrors("cnbs/sample-stack-run:noble");
    assert_eq!(mirrors, ["b.example.org/run", "a.example.org/run"]);
    let builders: Vec<_> = config.trusted_builders().collect();
    assert_eq!(builders, ["one/builder", "two/builder:tag"]);
    let registries = config.registries();
    let registries = registries.map(|(it, is_default)| (it.url.as_str(), is_default));
    let registries: Vec<_> = registries.collect();
    assert_eq!(registries, [("https://example.org/index", true)]);
    let mirrors: Vec<_> = config.registry_mirrors().iter().collect();
    assert_eq!(mirrors[0], (&"*".to_owned(), &"10.0.0.1".to_owned()));
    assert_eq!(mirrors.len(), 2);
}

#[test]
fn a_broken_file_is_an_error_with_path_and_line() {
    for (text, line) in [
        ("experimental = true\nexperimental = false", "line 2"),
        ("a = 1\n\nb = [", "line 3"),
        ("experimental = \"yes\"", "line 1"),
        ("\n[[run-images]]\nmirrors = 1", "line 3"),
        ("\ntrusted-builders = \"one\"", "line 2"),
    ] {
        let error = format!("{:#}", read(text).unwrap_err());
        assert!(error.starts_with("failed to read config /"), "{error}");
        assert!(error.contains("/config.toml: toml: "), "{error}");
        assert!(error.contains(line), "{error}");
    }
    let home = tempfile::tempdir().unwrap();
    fs_err::write(home.path().join(FILE), b"# \xff\n").unwrap();
    let error = format!("{:#}", Config::read(home.path()).unwrap_err());
    assert!(error.contains("/config.toml: toml: "), "{error}");
}

#[test]
fn a_policy_that_nobody_knows_is_an_error_only_where_it_counts() {
    let config = read("pull-policy = \"sometimes\"").unwrap();
    let error = config.pull_policy().unwrap_err().to_string();
    let expected = format!(
        "invalid pull policy \"sometimes\" in {}\n",
        config.file().display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn policies_have_names() {
    for (policy, name) in [
        (PullPolicy::Always, "always"),
        (PullPolicy::IfNotPresent, "if-not-present"),
        (PullPolicy::Never, "never"),
    ] {
        assert_eq!(policy.to_string(), name);
        let config = read(&format!("pull-policy = \"{name}\"")).unwrap();
        assert_eq!(config.pull_policy().unwrap(), policy);
    }
}
