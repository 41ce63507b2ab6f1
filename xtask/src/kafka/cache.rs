//! What is made once and kept below `target/kafka`.

use std::fs::{self, File};
use std::path::Path;

use crate::{Error, Result};

/// Has `make` make the file or folder, under another name that it is handed, unless it is there.
///
/// It is whole or absent, and made once, however many processes ask for it at the same time and
/// wherever one of them is killed.
pub(super) fn once(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().expect("it lies below target/kafka");
    fs::create_dir_all(folder).map_err(Error::io(format!("creating {}", folder.display())))?;
    let _lock = lock(&path.with_added_extension("lock"))?;
    if path.exists() {
        // Somebody made it while we waited.
        return Ok(());
    }
    let partial = path.with_added_extension("partial");
    remove(&partial)?;
    make(&partial)?;
    fs::rename(&partial, path).map_err(Error::io(format!("making {}", path.display())))
}

/// Removes a file or a folder with all that is in it, if it exists.
pub(super) fn remove(path: &Path) -> Result<()> {
    let removed = match path {
        path if path.is_dir() => fs::remove_dir_all(path),
        path if path.exists() => fs::remove_file(path),
        _ => Ok(()),
    };
    removed.map_err(Error::io(format!("removing {}", path.display())))
}

fn lock(path: &Path) -> Result<File> {
    let locking = || Error::io(format!("locking {}", path.display()));
    let file = File::create(path).map_err(locking())?;
    file.lock().map_err(locking())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use std::{env, process, thread};

    use super::*;

    #[test]
    fn it_is_made_once_however_many_ask() {
        let folder = Folder::new("once");
        let path = folder.0.join("jars-1.2.3");
        let (asking, made) = (AtomicU32::new(0), AtomicU32::new(0));
        let make = |partial: &Path| {
            made.fetch_add(1, Ordering::Relaxed);
            // Long enough for the others to come in, too, if anything let them.
            while asking.load(Ordering::Relaxed) < 8 {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            fs::write(partial, "whole").map_err(Error::io("writing"))
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    asking.fetch_add(1, Ordering::Relaxed);
                    once(&path, make).unwrap();
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn what_a_maker_left_half_done_is_not_taken_for_it() {
        let folder = Folder::new("half");
        let path = folder.0.join("storage");
        let fails = |partial: &Path| {
            fs::create_dir(partial).unwrap();
            fs::write(partial.join("half"), "").unwrap();
            Err(Error::Failed("in the middle".to_owned()))
        };
        assert!(once(&path, fails).is_err());
        assert!(!path.exists());

        once(&path, |partial| {
            fs::create_dir(partial).map_err(Error::io("making"))
        })
        .unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    /// Removed with all that is in it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("event-kafka-cache-{name}-{}", process::id());
            let folder = env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }
}
