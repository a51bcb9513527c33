//! The system call that takes a file system away at once.

use rustix::ioctl::{Opcode, Setter, ioctl};
use std::fs::File;

/// `_IOR('X', 125, __u32)`: `EXT4_IOC_SHUTDOWN` of the kernel.
const FS_IOC_SHUTDOWN: Opcode = 0x8004_587d;
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: neither data nor journal is written any more.
const NO_LOG_FLUSH: u32 = 2;

/// Shuts down the file system of which `root` is a directory.
#[expect(unsafe_code, reason = "this system call has no safe wrapper")]
pub(crate) fn without_flushing(root: &File) -> rustix::io::Result<()> {
    // SAFETY: the call reads one `u32` through the pointer that `Setter` makes, and writes no memory of this process.
    unsafe { ioctl(root, Setter::<FS_IOC_SHUTDOWN, u32>::new(NO_LOG_FLUSH)) }
}
