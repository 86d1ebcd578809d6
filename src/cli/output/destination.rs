//! The destination of output: standard output, or a file that is replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};

/// The size of the buffer, in bytes.
const BUFFER: usize = 64 * 1024;
/// The number of symbolic links that are followed, as on Linux
/// (<https://man7.org/linux/man-pages/man7/path_resolution.7.html>).
const MAX_LINKS: usize = 40;

/// Where output goes.
pub(super) struct Destination {
    pub(super) writer: Box<dyn Write + Send>,
    pub(super) is_terminal: bool,
    /// What is left to do when the output is complete, if it goes to a file.
    pub(super) replacement: Option<Replacement>,
}

impl Destination {
    /// Opens `target`, or standard output. A file is not changed before [`Replacement::commit`]; what is not a
    /// regular file, such as `/dev/stdout` or a FIFO, is written directly.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(super) fn open(target: Option<&Path>) -> anyhow::Result<Self> {
        let Some(target) = target else {
            return Ok(Self::direct(io::stdout(), io::stdout().is_terminal()));
        };
        Self::open_file(target).with_context(|| format!("cannot write {}", target.display()))
    }

    fn open_file(target: &Path) -> io::Result<Self> {
        // Appending, because standard output may be a file that others write to.
        let direct = || OpenOptions::new().append(true).open(target).map(|file| Self::direct(file, false));
        let Followed::File(target) = follow_links(target)? else { return direct() };
        let permissions = match fs::metadata(&target) {
            Ok(existing) if !existing.is_file() => return direct(),
            Ok(existing) => {
                // A file that may not be written must not be replaced.
                OpenOptions::new().write(true).open(&target)?;
                Some(existing.permissions())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let replacement = Replacement::create(target)?;
        if let Some(permissions) = permissions {
            fs::set_permissions(&replacement.temporary, permissions)?;
        }
        let file = Arc::clone(&replacement.file);
        Ok(Self { replacement: Some(replacement), ..Self::direct(file, false) })
    }

    fn direct(writer: impl Write + Send + 'static, is_terminal: bool) -> Self {
        let writer = Box::new(BufWriter::with_capacity(BUFFER, writer));
        Self { writer, is_terminal, replacement: None }
    }
}

/// Writes a file as a whole, or to standard output.
///
/// # Errors
/// Returns an error if the file cannot be written. It is as before then.
pub(crate) fn write(target: Option<&Path>, bytes: &[u8]) -> anyhow::Result<()> {
    let Destination { mut writer, replacement, .. } = Destination::open(target)?;
    writer.write_all(bytes)?;
    writer.flush()?;
    Ok(replacement.map_or(Ok(()), Replacement::commit)?)
}

/// A temporary file that replaces its target when it is complete, and is removed otherwise.
#[derive(Debug)]
pub(super) struct Replacement {
    file: Arc<File>,
    temporary: PathBuf,
    target: PathBuf,
    is_committed: bool,
}

impl Replacement {
    /// Creates the temporary file, beside the target: files cannot be renamed across file systems.
    fn create(target: PathBuf) -> io::Result<Self> {
        let process = std::process::id();
        let mut number = 0;
        loop {
            let temporary = target.with_file_name(format!(".imdsv2-{process}-{number}.tmp"));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok(Self { file: Arc::new(file), temporary, target, is_committed: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => {
                    let message = format!("cannot create a temporary file beside it: {error}");
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
    }

    /// Replaces the target. Everything must be written.
    pub(super) fn commit(mut self) -> io::Result<()> {
        let renamed = self.file.sync_all().and_then(|()| fs::rename(&self.temporary, &self.target));
        renamed.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot replace {}: {error}", self.target.display()))
        })?;
        self.is_committed = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_committed {
            let _ = fs::remove_file(&self.temporary); // there is nothing else to do
        }
    }
}

/// Where symbolic links lead to.
enum Followed {
    /// A file descriptor of this process.
    Descriptor,
    /// A path that is not a symbolic link, and need not exist.
    File(PathBuf),
}

/// Follows symbolic links, so that the file that one names is replaced, and not the link. Links to file
/// descriptors are not followed: a file that standard output is redirected to must be written, not replaced.
fn follow_links(path: &Path) -> io::Result<Followed> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let is_descriptor = ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"]
            .into_iter()
            .any(|descriptor| path.starts_with(descriptor));
        if is_descriptor {
            return Ok(Followed::Descriptor);
        }
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => return Ok(Followed::File(path)), // no link; other errors are found when it is opened
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

/// Returns the file that `--output` names; `None` is standard output, as `-` is.
pub(crate) fn output_file(argument: Option<&Path>) -> Option<&Path> {
    argument.filter(|path| path.as_os_str() != "-")
}

/// Checks that the output file is not one of the inputs, under any name.
///
/// # Errors
/// Returns an error that names both if it is.
pub(crate) fn check_target(target: Option<&Path>, inputs: &[&Path]) -> anyhow::Result<()> {
    let Some((target, identity)) = target.and_then(|path| Some((path, Identity::of(path)?))) else {
        return Ok(());
    };
    match inputs.iter().find(|input| Identity::of(input).as_ref() == Some(&identity)) {
        None => Ok(()),
        Some(input) => bail!(
            "cannot write the output to {}: it is the same file as {}: pass another --output",
            target.display(),
            input.display()
        ),
    }
}

/// What distinguishes a regular file from all others.
#[derive(PartialEq, Eq)]
enum Identity {
    #[cfg(unix)]
    Inode { device: u64, inode: u64 },
    #[cfg(not(unix))]
    Canonical(PathBuf),
    /// A file that does not exist yet, in a directory that does.
    New(PathBuf),
}

impl Identity {
    /// Returns the identity of the regular file at `path`, or `None` if it is another kind of file.
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => None,
            #[cfg(unix)]
            Ok(metadata) => {
                use std::os::unix::fs::MetadataExt;
                Some(Self::Inode { device: metadata.dev(), inode: metadata.ino() })
            }
            #[cfg(not(unix))]
            Ok(_) => fs::canonicalize(path).ok().map(Self::Canonical),
            Err(_) => {
                let Followed::File(path) = follow_links(path).ok()? else { return None };
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                let directory = fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
                Some(Self::New(directory.join(path.file_name()?)))
            }
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ops::Deref;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// An empty directory that only one test uses, and that is removed after it.
    struct Directory(PathBuf);

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    impl Deref for Directory {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.0
        }
    }

    fn directory(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("imdsv2-destination-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("created");
        Directory(path)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("listed");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_at_the_end_and_keeps_its_permissions() {
        let directory = directory("replaced");
        let target = directory.join("out.csv");
        fs::write(&target, "old").expect("written");
        fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("set");
        let Destination { mut writer, replacement, .. } = Destination::open(Some(&target)).expect("opened");
        writer.write_all(b"new").expect("written");
        writer.flush().expect("flushed");
        assert_eq!(fs::read_to_string(&target).expect("read"), "old");
        replacement.expect("a file").commit().expect("committed");
        assert_eq!(fs::read_to_string(&target).expect("read"), "new");
        assert_eq!(fs::metadata(&target).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert_eq!(names(&directory), ["out.csv"]);
    }

    #[test]
    fn an_error_or_a_panic_leaves_the_old_file_and_nothing_else() {
        let directory = directory("kept");
        let target = directory.join("out.csv");
        fs::write(&target, "old").expect("written");
        drop(Destination::open(Some(&target)).expect("opened"));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _destination = Destination::open(Some(&target)).expect("opened");
            panic!("so says the test");
        }));
        assert!(panicked.is_err());
        assert_eq!(fs::read_to_string(&target).expect("read"), "old");
        assert_eq!(names(&directory), ["out.csv"]);
    }

    #[test]
    fn the_file_that_a_link_names_is_replaced() {
        let directory = directory("link");
        symlink("new.csv", directory.join("link")).expect("linked");
        write(Some(&directory.join("link")), b"first").expect("written");
        write(Some(&directory.join("link")), b"second").expect("written");
        assert_eq!(fs::read_to_string(directory.join("new.csv")).expect("read"), "second");
        assert_eq!(names(&directory), ["link", "new.csv"]);
    }

    #[test]
    fn special_files_are_written_directly() {
        write(Some(Path::new("/dev/null")), b"text").expect("written");
        let stdout = Destination::open(Some(Path::new("/proc/self/fd/2"))).expect("opened");
        assert!(stdout.replacement.is_none());
    }

    #[test]
    fn an_input_is_refused_as_target_under_any_name() {
        let directory = directory("same");
        let (input, other) = (directory.join("in.json"), directory.join("other.json"));
        fs::write(&input, "{}").expect("written");
        fs::write(&other, "{}").expect("written");
        fs::hard_link(&input, directory.join("hard")).expect("linked");
        symlink("in.json", directory.join("soft")).expect("linked");
        let inputs = [other.as_path(), input.as_path()];
        for name in ["in.json", "./in.json", "hard", "soft"] {
            let target = directory.join(name);
            let error = check_target(Some(&target), &inputs).expect_err("the same file").to_string();
            let expected = format!(
                "cannot write the output to {}: it is the same file as {}: pass another --output",
                target.display(),
                input.display()
            );
            assert_eq!(error, expected);
        }
        let new = directory.join("new.json");
        let again = directory.join(".").join("new.json");
        assert!(check_target(Some(&new), &inputs).is_ok());
        assert!(check_target(Some(&new), &[&again]).is_err(), "both are to be created");
        assert!(check_target(None, &inputs).is_ok());
        assert!(check_target(Some(Path::new("/dev/null")), &[Path::new("/dev/null")]).is_ok());
    }
}
