//! Blocks of Go 1.26's archive/tar; what is in them, field by field, is in `fields`.

mod fields;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use super::*;
use crate::layer::tests::{hex, sha256};

fn entry(name: impl Into<Vec<u8>>, mode: u32, kind: EntryKind) -> Entry {
    Entry {
        name: PathBuf::from(OsString::from_vec(name.into())).into(),
        mode,
        uid: 0,
        gid: 0,
        kind,
    }
}

fn file(name: impl Into<Vec<u8>>, mode: u32, size: u64) -> Entry {
    let source = PathBuf::new();
    entry(
        name,
        mode,
        EntryKind::File {
            source: source.into(),
            size,
        },
    )
}

fn link(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Entry {
    let target = PathBuf::from(OsString::from_vec(target.into()));
    entry(name, 0o777, EntryKind::Symlink { target })
}

fn owned(uid: u32, gid: u32, entry: Entry) -> Entry {
    Entry { uid, gid, ..entry }
}

/// `/ppp…/nnn…`: as many of each.
fn path(p: usize, n: usize) -> String {
    format!("/{}/{}", "p".repeat(p), "n".repeat(n))
}

/// Length and SHA-256 of the header blocks that Go 1.26's archive/tar writes for each entry.
#[rustfmt::skip]
fn blocks_of_go() -> Vec<(Entry, usize, &'static str)> {
    use EntryKind::{BlockDevice, CharDevice, Directory, Fifo};
    let p_q_n = format!("/{}/{}/{}", "p".repeat(50), "q".repeat(60), "n".repeat(20));
    vec![
        // What USTAR holds (EXP-032, EXP-033, EXP-036).
        (entry("/layers", 0o755, Directory), 512, "761425bd01c4370a7b46b0a0c5f91fa68ff2e723a069b51d32c1872358e60462"),
        (owned(1000, 1000, file("/layers/f", 0o644, 5)), 512, "dfdcfa57d05bca22f1edd0cbdbff3c2e582ba71beebf98272d0c09dabfcb5f9b"),
        (owned(1000, 1001, file("/layers/su", 0o4755, 5)), 512, "40e84ffc14daa9a6dfa8c210d38e252c8cac17c96c10acd2d7099258b8708ffd"),
        (entry("/tmp", 0o1777, Directory), 512, "55f3d8b169508cd2b3ec10a4cd4b4b43f958bc8cfb8eeb4850a4926766dc32c7"),
        (owned(1000, 1000, link("/layers/l", "../target")), 512, "7831cdf7b612ede8d9d48438235dcd7beee99c6d4439073c48af3e8eb487bb23"),
        (entry("/layers/p", 0o600, Fifo), 512, "ca8b7377fc639d7b478e88c3f1f5f3819f0798cb12178ad9d298b64b5712df12"),
        (entry("/layers/c", 0o666, CharDevice { major: 1, minor: 3 }), 512, "4fa85fcdaddf5df8f155ebf9fc51fcf03d0e1ee3c9bf4c30430c008979b5392a"),
        (owned(0, 6, entry("/layers/b", 0o660, BlockDevice { major: 4095, minor: 1_048_575 })), 512, "1d229fa413feb9f889834e0eeaafa1c7246efa59627927d68615bada9ea38b62"),
        // Long names, split where that works (EXP-038).
        (file(format!("/{}", "n".repeat(99)), 0o644, 0), 512, "e869453fff17db357c29af8569366ca30b7de2afc6483ad3466852a27f4cf551"),
        (file(format!("/{}", "n".repeat(100)), 0o644, 0), 1536, "82e6436ed6f058da83d90369e195f10fe1fe53ae2adebec742964cd01fc48140"),
        (file(path(154, 100), 0o644, 0), 512, "b0c90baf2910a1589d1f2f05bd10a9e410bdd20a6a952c283802a6e81a294926"),
        (file(path(155, 100), 0o644, 0), 1536, "c000eaa46b477a62038d2b728cd23875d8a024dacae3bcd6d8d3275a35d80c3c"),
        (file(path(154, 101), 0o644, 0), 1536, "8ba28d60868134ab0db6ff82969f2e3a72f710e581f4868135057873e2d6ccd3"),
        (file(p_q_n, 0o644, 0), 512, "ea3454cde44260a96ebeb91b0e90a69e715a3e0f527af578e76b181287784af0"),
        // Names and targets that are not ASCII or too long (EXP-039, EXP-041, EXP-042).
        (file("/layers/été/日本", 0o644, 3), 1536, "f5bf8f859b954560210e3cdde241227b216eec07cd680e99ac043822129e6a18"),
        (file(*b"/layers/\xff\xfe/a\xc3", 0o644, 3), 1536, "8560a57f077096c4934a9773ef1d9523da1cef4df6700db882cf46d67da1248f"),
        (entry("/é", 0o755, Directory), 1536, "39c5b89b3593394056f8262430d782d536ebc025f572a905303f1ed95feb6724"),
        (file(path(98, 110), 0o644, 0), 1536, "94aa958566d9374e340ac8a6d673f6c90490df53e62672d4d85449f5fdfd3b58"),
        (link("/l", "t".repeat(100)), 512, "66c63bd6b0dfd2d362158fabf906b02dc04cf3e87e9012be34c79db62dc8fd16"),
        (link("/l", "t".repeat(101)), 1536, "6767c4f3720a87b43c8a38996216d4d7db6371ca9a23c99ca2799a199d2140fc"),
        (link("/l", "ü"), 1536, "7f73b1bfb4001418660404a3c6f23022683fa5ecc8e483cff8859c507da7ef26"),
        (link(path(90, 90), "t".repeat(120)), 1536, "232144dd89de7637a1c46cb1c3c21e880dffdaf46e7ed3d29ce2c7ebdb53e7d8"),
        // Numbers at the edge (EXP-039).
        (owned(2_097_151, 2_097_151, file("/f", 0o644, 0)), 512, "82b19b5028400e6beb42ab3ab28c0c84857b950c0a1f74e6d4dc9d081aa3454e"),
        (owned(2_097_152, 4_294_967_294, file("/f", 0o644, 0)), 1536, "31d2db976a1d77366ca91ddd54260e100121be10887d25cbc47a047821fc8602"),
        (file("/f", 0o644, 8_589_934_591), 512, "bb46cc085f5ed6795ada5c06088d89158b1cb70cedd0efa8f55a263d30c7a3af"),
        (file("/f", 0o644, 8_589_934_592), 1536, "90433fd011480a5c5ce9fabf998115092f9ab8e3ea182d4138e8a242ab8dff45"),
        // Lengths that gain a digit by being counted (EXP-040).
        (file(format!("/{}xx", "é".repeat(45)), 0o644, 0), 1536, "da7a4f85e6d656e0d5b41bb5312f4932c28bd694798cfa4f0d4abb8322f2fc53"),
        (file(format!("/{}xxx", "é".repeat(45)), 0o644, 0), 1536, "a0ccaa0f114c7c888a057487881defc97f0265842e4635c90e881a0ccdc6d33b"),
    ]
}

#[test]
fn blocks_are_those_of_go() {
    for (entry, len, digest) in blocks_of_go() {
        let mut blocks = Vec::new();
        append(&entry, &mut blocks).unwrap();
        assert_eq!(blocks.len(), len, "{entry:?}");
        assert_eq!(sha256(&blocks), digest, "{entry:?}\n{}", hex(&blocks));
    }
}

#[test]
fn what_no_format_holds_is_refused() {
    let device = |major, minor| {
        let kind = EntryKind::CharDevice { major, minor };
        entry("/c", 0o600, kind)
    };
    // Seven octal digits hold the largest number.
    let (largest, too_large) = (0o7_777_777, 0o10_000_000);
    for entry in [
        file("/a\0b", 0o644, 0),
        link("/l", "a\0b"),
        device(too_large, 0),
        device(0, too_large),
    ] {
        let error = append(&entry, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, Error::Unrepresentable { .. }), "{error}");
    }
    append(&device(largest, largest), &mut Vec::new()).unwrap();
}
