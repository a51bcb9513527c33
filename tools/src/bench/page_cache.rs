//! What the system keeps of a store's files in memory.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes read at a time.
const PIECE_BYTES: usize = 1 << 20;

/// Writes out what is dirty of all files below `dir`, and asks the system to forget what it holds of them. Returns the files' bytes.
#[cfg(target_os = "linux")]
pub(crate) fn drop_files(dir: &Path) -> anyhow::Result<u64> {
    each_file(dir, &mut |file, bytes| {
        file.sync_all()?;
        rustix::fs::fadvise(file, 0, std::num::NonZero::new(bytes), rustix::fs::Advice::DontNeed)?;
        Ok(())
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn drop_files(_dir: &Path) -> anyhow::Result<u64> {
    anyhow::bail!("the page cache can be emptied on Linux only")
}

/// Reads all files below `dir`, so that the system holds what of them fits its memory. Returns the files' bytes.
pub(crate) fn read_files(dir: &Path) -> anyhow::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    each_file(dir, &mut |mut file, _| {
        while file.read(&mut piece)? > 0 {}
        Ok(())
    })
}

fn each_file(dir: &Path, act: &mut dyn FnMut(&File, u64) -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sum += each_file(&entry.path(), act)?;
        } else {
            let file = match File::open(entry.path()) {
                Ok(file) => file,
                // A store at rest may still remove what its last compaction has replaced.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let bytes = file.metadata()?.len();
            act(&file, bytes)?;
            sum += bytes;
        }
    }
    Ok(sum)
}
