//! Counts by a version's path: bounded, and none of them ever falls.

use std::collections::BTreeMap;
use std::path::Path;

/// Most paths that have counts of their own. Each version of a model is one, and in time
/// there may be any number of them.
const MOST_APART: usize = 512;

/// Most of all: folders come after that, then nothing more.
const MOST_IN_ALL: usize = 2 * MOST_APART;

/// Counts `T` of each path. One that was counted by itself stays so for good: to a collector
/// a count that is begun anew has fallen. Where there is no room for one more, it counts
/// with the others of its folder (the versions of its model), and at last with all others,
/// under the empty path.
#[derive(Debug)]
pub(super) struct ByPath<T>(BTreeMap<String, T>);

impl<T> Default for ByPath<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Default> ByPath<T> {
    /// The counts that a path has, or shares.
    pub(super) fn of(&mut self, path: &str) -> &mut T {
        let has_room = |path: &str, most| self.0.contains_key(path) || self.0.len() < most;
        let folder = || Path::new(path).parent()?.to_str();
        let shown = if has_room(path, MOST_APART) {
            path
        } else {
            folder()
                .filter(|folder| has_room(folder, MOST_IN_ALL))
                .unwrap_or_default()
        };
        self.0.entry(shown.to_owned()).or_default()
    }

    /// All of them, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(path, counts)| (path.as_str(), counts))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ByPath, MOST_APART, MOST_IN_ALL};

    fn seen(counts: &ByPath<u64>) -> BTreeMap<String, u64> {
        let each = counts.iter();
        each.map(|(path, count)| (path.to_owned(), *count))
            .collect()
    }

    #[test]
    fn versions_beyond_the_first_count_with_their_model() {
        let mut counts = ByPath::<u64>::default();
        let path = |version: usize| format!("/models/m/{version}");
        for version in 0..MOST_APART + 3 {
            *counts.of(&path(version)) += 1;
        }
        let found = seen(&counts);
        assert_eq!(found.len(), MOST_APART + 1);
        assert_eq!(found["/models/m"], 3);
        // The first keep theirs.
        *counts.of(&path(0)) += 1;
        assert_eq!(seen(&counts)[&path(0)], 2);
    }

    #[test]
    fn whatever_comes_nothing_falls_and_nothing_is_lost() {
        let mut counts = ByPath::<u64>::default();
        let mut before = BTreeMap::new();
        // Down the alphabet: each path would be the first to be dropped.
        for round in 0..2 {
            for number in (0..3 * MOST_IN_ALL).rev() {
                *counts.of(&format!("/models/{number:05}/1")) += 1;
            }
            let found = seen(&counts);
            assert!(found.len() <= MOST_IN_ALL + 1);
            let total: u64 = found.values().sum();
            assert_eq!(total, (round + 1) * 3 * MOST_IN_ALL as u64);
            assert!(before.iter().all(|(path, count)| found[path] >= *count));
            assert!(found[""] > 0);
            before = found;
        }
    }
}
