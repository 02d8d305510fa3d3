//! The same build by root, and by people with many ids and with one.

use tests::desk::{Desk, Person, User};
use tests::image;
use tests::program::{requires, requires_root};

/// Builds twice, and returns the image's digest.
fn builds(person: Person, way: &str) -> String {
    let desk = Desk::of(person);
    let first = desk.build("app", &["--verbose"]).ok();
    assert!(first.contains(&format!("the way of {way}")), "{first}");
    assert!(first.contains("this is the first build"), "{first}");
    let digest = image::read(&desk.path("work/app")).digest().to_owned();
    let second = desk.build("app", &[]).ok();
    assert!(second.contains("this is build number 2"), "{second}");
    assert!(
        second.contains("Reusing layer 'slipway/hello:script'"),
        "{second}"
    );
    assert_eq!(image::read(&desk.path("work/app")).digest(), digest);
    assert_eq!(desk.remains(), [""; 0]);
    digest
}

#[test]
fn root_everybody_builds_the_same_image() {
    if !(requires_root() && requires(&["setpriv", "useradd", "newuidmap", "umoci", "jq"])) {
        return;
    }
    let of_root = builds(Person::Root, "root");
    let of_many = builds(Person::ManyIds(User::new("ways")), "many ids");
    let of_one = builds(Person::OneId, "one id");
    assert_eq!(of_many, of_root);
    assert_eq!(of_one, of_root);
}
