//! The known word nearest to a misspelt one, by edit distance.

use std::mem;

/// The word of `known` that `word` most likely meant, or nothing when even the best is too far off to be a slip of the
/// fingers: more than a third of the longer word (but one edit is always near). The first wins a tie.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = canonical(word);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let letters = canonical(candidate);
        let limit = (word.len().max(letters.len()) / 3).max(1);
        if word.len().abs_diff(letters.len()) > limit {
            continue;
        }
        let distance = edit_distance(&word, &letters);
        if distance <= limit && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Case and the choice of hyphen or underscore are no distance at all.
fn canonical(word: &str) -> Vec<char> {
    word.chars().map(|letter| if letter == '-' { '_' } else { letter.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
/// O(|a| |b|) time and O(|b|) memory.
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut row = last.clone();
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        mem::swap(&mut before, &mut last);
        mem::swap(&mut last, &mut row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distance(a: &str, b: &str) -> usize {
        edit_distance(&canonical(a), &canonical(b))
    }

    #[test]
    fn distances_by_hand() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("steps", "setps", 1),
            ("ab", "ba", 1),
            ("batch_size", "batch-size", 0),
            ("Adam", "adam", 0),
        ] {
            assert_eq!(distance(a, b), expected, "{a} -> {b}");
            assert_eq!(distance(b, a), expected, "{b} -> {a}");
        }
    }

    #[test]
    fn the_nearest_word_is_found_and_nonsense_is_not() {
        let known = ["steps", "batch", "learning_rate", "seed"];
        for (word, expected) in [
            ("step", Some("steps")),
            ("setps", Some("steps")),
            ("bathc", Some("batch")),
            ("learning-rate", Some("learning_rate")),
            ("learnig_rate", Some("learning_rate")),
            ("sed", Some("seed")),
            ("momentum", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_a_symmetric_count_of_edits(a in "[a-d]{0,9}", b in "[a-d]{0,9}") {
            let there = distance(&a, &b);
            prop_assert_eq!(there, distance(&b, &a));
            prop_assert_eq!(there == 0, a == b);
            prop_assert!(there >= a.len().abs_diff(b.len()));
            prop_assert!(there <= a.len().max(b.len()));
        }

        #[test]
        fn a_known_word_is_its_own_nearest(mut known in prop::collection::vec("[a-z_]{1,12}", 1..8), at in 0usize..8) {
            known.dedup();
            let word = known[at % known.len()].clone();
            prop_assert_eq!(nearest(&word, known.iter().map(String::as_str)), Some(word.as_str()));
        }

        #[test]
        fn one_slip_is_always_forgiven(word in "[a-z]{2,12}", at in 0usize..12, slip in 0usize..4) {
            let mut letters: Vec<char> = word.chars().collect();
            let at = at % (letters.len() - 1);
            match slip {
                0 => drop(letters.remove(at)),
                1 => letters.insert(at, '7'),
                2 => letters[at] = '7',
                _ => letters.swap(at, at + 1),
            }
            let slipped: String = letters.into_iter().collect();
            prop_assert_eq!(nearest(&slipped, ["0123456789012345", &word]), Some(word.as_str()));
        }
    }
}
