use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

/// Returns the text after a change.
fn changed(text: &str, change: impl FnOnce(&mut Edit)) -> String {
    let mut edit = Edit::begin(Path::new("/config.toml"), text).unwrap();
    change(&mut edit);
    edit.text()
}

/// What is in a file that this program knows nothing of.
const FOREIGN: &str = "\
# Mine, all mine.

   future-key   =  { b = 2, a = 1 }   # keep me
pull-policy = 'never' # for the train

[some.table] # and me
  x = 0x10

# The end.
";

#[test]
fn a_change_changes_nothing_else() {
    for (change, from, to) in [
        (
            ("pull-policy", Some("always")),
            "'never' # for",
            "\"always\" # for",
        ),
        (("Pull-Policy", Some("x")), "'never'", "\"x\""),
        (
            ("pull-policy", None),
            "pull-policy = 'never' # for the train\n",
            "",
        ),
        (("new", Some("x")), "train\n", "train\nnew = \"x\"\n"),
        (("not-there", None), "", ""),
    ] {
        let (key, value) = change;
        let text = changed(FOREIGN, |edit| match value {
            Some(value) => edit.set(key, value),
            None => drop(edit.unset(key)),
        });
        assert_eq!(text, FOREIGN.replacen(from, to, 1), "{change:?}");
    }
}

#[test]
fn line_ends_and_mark_of_windows_stay() {
    let text = "\u{feff}# c\r\na = 1\r\n\r\n[x]\r\n  y = 1 # z\r\n";
    let found = changed(text, |edit| edit.set("a", 2));
    assert_eq!(found, text.replace("a = 1", "a = 2"));
    assert_eq!(changed(text, |_| {}), text);
}

#[test]
fn an_empty_file_gets_what_is_set() {
    let text = changed("", |edit| {
        edit.set("experimental", true);
        edit.set("layout-repo-dir", "/a \"b\"");
        edit.set_in("registry-mirrors", "*", "10.0.0.1");
        let mirrors = texts(&["m".to_owned(), "n".to_owned()]);
        edit.set_of("run-images", ("image", "run"), "mirrors", mirrors);
    });
    let expected = "\
experimental = true
layout-repo-dir = '/a \"b\"'

[registry-mirrors]
\"*\" = \"10.0.0.1\"

[[run-images]]
image = \"run\"
mirrors = [\"m\", \"n\"]
";
    assert_eq!(text, expected);
}

#[test]
fn comments_above_what_is_removed_stay() {
    for (before, after) in [
        ("# head\na = 1\nb = 2\n", "# head\nb = 2\n"),
        ("# head\na = 1\n", "# head\n"),
        (
            "# head\na = 1\n\n# table\n[t]\n",
            "# head\n\n# table\n[t]\n",
        ),
        (
            "b = 2\n# about a\na = 1\n\n[[l]]\nx = 1\n",
            "b = 2\n# about a\n\n[[l]]\nx = 1\n",
        ),
        ("# head\n[a]\nx = 1\n# next\n[b]\n", "# head\n# next\n[b]\n"),
    ] {
        let text = changed(before, |edit| assert!(edit.unset("a")));
        assert_eq!(text, after, "{before}");
    }
}

#[test]
fn tables_of_a_list_are_added_changed_and_removed() {
    let text = "\
# one
[[run-images]]
  image = \"one\" # first
  mirrors = [\"m\"]
  more = 1

# two
[[run-images]]
  image = \"two\"

[after]
";
    let set = |of: &'static str| {
        move |edit: &mut Edit| {
            let mirrors = texts(&["n".to_owned()]);
            edit.set_of("run-images", ("image", of), "mirrors", mirrors);
        }
    };
    let remove =
        |of: &'static str| move |edit: &mut Edit| edit.remove_of("run-images", ("image", of));
    let one = changed(text, set("one"));
    assert_eq!(one, text.replace("[\"m\"]", "[\"n\"]"));
    let new = "[[run-images]]\nimage = \"new\"\nmirrors = [\"n\"]\n";
    let added = changed(text, set("new"));
    assert_eq!(
        added,
        text.replace("\n[after]", &format!("\n{new}\n[after]"))
    );
    assert_eq!(changed(&added, remove("new")), text);

    let one = changed(text, remove("one"));
    let expected = "# one\n\n# two\n[[run-images]]\n  image = \"two\"\n\n[after]\n";
    assert_eq!(one, expected);
    let none = changed(&one, remove("two"));
    assert_eq!(none, "# one\n\n# two\n\n[after]\n");
    assert_eq!(changed(text, remove("three")), text);
}

#[test]
fn lists_may_be_written_in_a_line() {
    let text = "trusted-builders = [{ name = \"a\" }, { name = \"b\" }] # mine\n";
    let add = changed(text, |edit| {
        edit.set_of("trusted-builders", ("name", "c"), "name", "c".into());
    });
    let expected =
        "trusted-builders = [{ name = \"a\" }, { name = \"b\" }, { name = \"c\" }] # mine\n";
    assert_eq!(add, expected);
    let remove =
        |of: &'static str| move |edit: &mut Edit| edit.remove_of("trusted-builders", ("name", of));
    assert_eq!(changed(&add, remove("c")), text);
    let last = changed(
        "x = 1\ntrusted-builders = [{ name = \"a\" }]\n",
        remove("a"),
    );
    assert_eq!(last, "x = 1\n");
}

#[test]
fn entries_of_a_table_are_added_changed_and_removed() {
    for text in [
        "[registry-mirrors]\n\"index.docker.io\" = \"a\" # why\n",
        "registry-mirrors = { \"index.docker.io\" = \"a\" } # why\n",
        "registry-mirrors.\"index.docker.io\" = \"a\" # why\n",
    ] {
        let set = changed(text, |edit| {
            edit.set_in("registry-mirrors", "index.docker.io", "b");
        });
        assert_eq!(set, text.replace("\"a\"", "\"b\""));
        let added = changed(text, |edit| edit.set_in("registry-mirrors", "*", "c"));
        assert!(added.contains("\"*\" = \"c\""), "{added}");
        let removed = changed(&added, |edit| {
            assert!(edit.unset_in("registry-mirrors", "*"));
            assert!(!edit.unset_in("registry-mirrors", "*"));
        });
        assert_eq!(removed, text);
        let none = changed(text, |edit| {
            assert!(edit.unset_in("registry-mirrors", "index.docker.io"));
        });
        assert_eq!(none, "");
    }
}

#[test]
fn a_new_file_is_its_owners_and_an_old_one_stays_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/home/config.toml");
    let write = |path: &Path, value: &str| {
        let text = fs_err::read_to_string(path).unwrap_or_default();
        let mut edit = Edit::begin(path, &text).unwrap();
        edit.set("a", value);
        edit.save().unwrap();
    };
    let mode = |path: &Path| fs_err::metadata(path).unwrap().mode() & 0o7777;
    write(&path, "first");
    assert_eq!(mode(&path), 0o600);

    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let link = dir.path().join("link.toml");
    symlink("new/home/config.toml", &link).unwrap();
    write(&link, "second");
    assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "a = \"second\"\n");
    assert_eq!(mode(&path), 0o640);
    let names = fs_err::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "no temporary file is left");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("home"), "a file").unwrap();
    let path = dir.path().join("home/config.toml");
    let edit = Edit::begin(&path, "").unwrap();
    let error = format!("{:#}", edit.save().unwrap_err());
    let expected = format!("failed to write config {}: ", path.display());
    assert!(error.starts_with(&expected), "{error}");
}
