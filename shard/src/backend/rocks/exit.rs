//! The end of a process in which another thread still has an instance open, or is just closing it.
//!
//! As a process ends, RocksDB's static objects are destroyed, its threads among them, and whoever works on an instance meanwhile brings the process down with a
//! signal. What is acknowledged is durable by then, so such a process ends with the status that it has chosen and without these destructors.

use std::sync::atomic::{AtomicUsize, Ordering};

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// From before an instance is opened until after it is closed.
#[derive(Debug)]
pub(super) struct OpenInstance(());

impl OpenInstance {
    pub(super) fn new() -> Self {
        OPEN.fetch_add(1, Ordering::SeqCst);
        OpenInstance(())
    }

    /// RocksDB has made its static objects: from here on, the end of the process is seen before they go, for what is registered last comes first.
    pub(super) fn opened(&self) {
        process::at_exit();
    }
}

impl Drop for OpenInstance {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod process {
    #![expect(
        unsafe_code,
        reason = "only the C library calls anybody at the end of a process, and tells with which status"
    )]

    use super::{OPEN, Ordering};
    use std::ffi::{c_int, c_void};
    use std::ptr;

    // SAFETY: as glibc declares them, see on_exit(3) and _exit(2). `_exit` may be called at any time.
    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
        safe fn _exit(status: c_int) -> !;
    }

    extern "C" fn end(status: c_int, _: *mut c_void) {
        if OPEN.load(Ordering::SeqCst) > 0 {
            _exit(status);
        }
    }

    pub(super) fn at_exit() {
        // SAFETY: `end` lives as long as the process, takes no argument and does not unwind. If there is no memory to register it, an end in good order is what is
        // lost, as it is on other systems.
        unsafe { on_exit(end, ptr::null_mut()) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod process {
    pub(super) fn at_exit() {}
}
