//! What somebody may have meant who mistyped a name.

/// Returns the name that takes the fewest edits, fewer than three. Of several it is one that begins alike, then the first;
/// in the reference it is chance.
pub(super) fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let rank = |name: &str| {
        let begins_otherwise = word.chars().next() != name.chars().next();
        (edits(word, name), begins_otherwise)
    };
    let ranked = names.map(|name| (rank(name), name));
    let near = ranked.filter(|((distance, _), _)| (1..3).contains(distance));
    near.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// Returns how many letters must be added, left out or changed to make one word of the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_two_edits_away_at_most() {
        for (one, other, distance) in [
            ("from", "form", 2),
            ("run", "run", 0),
            ("", "cmd", 3),
            ("ad", "add", 1),
            ("exclud", "include", 3),
        ] {
            assert_eq!(edits(one, other), distance, "{one} {other}");
            assert_eq!(edits(other, one), distance, "{other} {one}");
        }
    }
}
