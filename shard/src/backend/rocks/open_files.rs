//! How many files an open instance may hold open: RocksDB can change that, and `rocksdb` has no safe name for it.

use super::RocksBackend;
use super::error::classify_text;
use crate::Result;
use librocksdb_sys as ffi;
use rocksdb::AsRawPtr;
use std::ffi::{CStr, CString};

pub(super) fn set(backend: &RocksBackend, most: u32) -> Result<()> {
    let value = CString::new(most.to_string()).expect("digits hold no zero byte");
    let (names, values) = ([c"max_open_files".as_ptr()], [value.as_ptr()]);
    let mut message = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "rocksdb has no safe name for it")]
    // SAFETY: the pointer is that of `db`, open during the call; names and values are one C string each, which RocksDB copies. It leaves
    // `message` null or makes it a C string of its own allocation, which is read before it is freed, once.
    let text = unsafe {
        ffi::rocksdb_set_db_options(backend.db.as_raw_ptr(), 1, names.as_ptr(), values.as_ptr(), &raw mut message);
        if message.is_null() {
            return Ok(());
        }
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::rocksdb_free(message.cast());
        text
    };
    Err(classify_text(&backend.path, &text))
}
