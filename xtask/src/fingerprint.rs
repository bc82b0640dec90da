//! A short text that differs when any of the files or settings that went into it differs.
//!
//! It decides whether work can be skipped, never whether something is safe. The hash is std's, which may change with the compiler: then
//! the work is done once more.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

use crate::failure::{Doing, Outcome};

/// Collects what the work depends on.
#[derive(Debug, Default)]
pub struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// One that nothing went into yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a named setting.
    pub fn text(&mut self, name: &str, value: &str) {
        ("text", name, value).hash(&mut self.0);
    }

    /// Adds the content of a file of the project; that it is absent counts as well.
    pub fn file(&mut self, root: &Path, file: &Path) -> Outcome {
        let path = root.join(file);
        let content = if path.is_file() { Some(fs::read(&path).doing("read", &path)?) } else { None };
        ("file", file, content).hash(&mut self.0);
        Ok(())
    }

    /// Adds a file, or a folder with all that is in it, but for names that start with a dot.
    pub fn tree(&mut self, root: &Path, tree: &Path) -> Outcome {
        let path = root.join(tree);
        if !path.is_dir() {
            return self.file(root, tree);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).doing("read", &path)? {
            names.push(entry.doing("read", &path)?.file_name());
        }
        names.retain(|name| !name.to_string_lossy().starts_with('.'));
        names.sort();
        ("dir", tree, names.len()).hash(&mut self.0);
        for name in names {
            self.tree(root, &tree.join(name))?;
        }
        Ok(())
    }

    /// The text.
    pub fn finish(&self) -> String {
        format!("{:016x}", self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder that is removed at the end of a test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(dir.join("src")).unwrap();
            Self(dir)
        }

        fn write(&self, file: &str, content: &str) {
            fs::write(self.0.join(file), content).unwrap();
        }

        fn print(&self) -> String {
            let mut fingerprint = Fingerprint::new();
            fingerprint.tree(&self.0, Path::new("src")).unwrap();
            fingerprint.tree(&self.0, Path::new("rules.toml")).unwrap();
            fingerprint.finish()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn content_names_and_absence_count_and_hidden_files_do_not() {
        let scratch = Scratch::new("fingerprint");
        scratch.write("src/a.rs", "1");
        let first = scratch.print();
        assert_eq!(scratch.print(), first);

        scratch.write("src/.a.rs.swp", "edited");
        assert_eq!(scratch.print(), first);

        scratch.write("src/a.rs", "2");
        let second = scratch.print();
        assert_ne!(second, first);

        fs::rename(scratch.0.join("src/a.rs"), scratch.0.join("src/b.rs")).unwrap();
        let third = scratch.print();
        assert_ne!(third, second);

        scratch.write("rules.toml", "");
        assert_ne!(scratch.print(), third);
    }

    #[test]
    fn the_name_of_a_setting_counts_as_well_as_its_value() {
        let of = |name, value| {
            let mut fingerprint = Fingerprint::new();
            fingerprint.text(name, value);
            fingerprint.finish()
        };
        assert_ne!(of("a", "bc"), of("ab", "c"));
        assert_ne!(of("a", "b"), of("a", "c"));
    }
}
