//! Maps and sets of a few entries, as lists in order. Each kind of tree of the standard library is ten kilobytes of
//! wasm, and here are many kinds of few entries.

use alloc::vec::Vec;
use core::borrow::Borrow;

/// A map of a few entries, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map<K, V>(Vec<(K, V)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> Map<K, V> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The entries, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The entries, their values to be changed, in the order of their keys.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Leaves those for which this is true.
    pub fn retain(&mut self, keep: impl Fn(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }
}

impl<K: Ord, V> Map<K, V> {
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(there, _)| there.borrow().cmp(key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Puts a value under a key, in the place of what was there.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(index) => {
                if let Some(there) = self.0.get_mut(index) {
                    there.1 = value;
                }
            }
            Err(index) => self.0.insert(index, (key, value)),
        }
    }

    /// Changes the value of a key, which begins as nothing much.
    pub fn change(&mut self, key: K, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        let mut value = self.remove(&key).unwrap_or_default();
        change(&mut value);
        self.insert(key, value);
    }

    /// Takes a key out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|index| self.0.remove(index).1)
    }
}

/// A set of a few values, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Set<T>(Map<T, ()>);

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Set<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// Whether it has no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|(value, ())| value)
    }
}

impl<T: Ord> Set<T> {
    /// Puts a value in.
    pub fn insert(&mut self, value: T) {
        self.0.insert(value, ());
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut set = Self::new();
        for value in values {
            set.insert(value);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::{Map, Set};
    use alloc::vec::Vec;

    #[test]
    fn a_map_holds_the_last_value_of_each_key_in_order() {
        let mut map = Map::new();
        for (key, value) in [("b", 1), ("a", 2), ("c", 3), ("a", 4)] {
            map.insert(key, value);
        }
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"a", &4), (&"b", &1), (&"c", &3)]);
        assert_eq!((map.get("a"), map.get("d"), map.len()), (Some(&4), None, 3));
        assert_eq!((map.remove("b"), map.remove("b")), (Some(1), None));
        map.change("c", |value| *value += 10);
        map.change("e", |value| *value += 1);
        assert_eq!((map.remove("c"), map.remove("e")), (Some(13), Some(1)));
        map.retain(|_, value| *value > 3);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&"a", &4)]);
        map.clear();
        assert!(map.is_empty());
    }

    #[test]
    fn a_set_holds_each_value_once_in_order() {
        let set: Set<u8> = [3, 1, 2, 1].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [&1, &2, &3]);
        assert!(Set::<u8>::new().is_empty());
    }
}
