//! Checksums of whole files: blocks have their own, but only a read that needs a block checks it, and a filter's damage is passed
//! over as if there were no filter. RocksDB keeps them in its manifest; `rocksdb` has no safe names for them.

use librocksdb_sys as ffi;
use rocksdb::{AsRawPtr, DB, Options};
use std::ffi::CStr;

/// Makes an instance opened with `options` keep a CRC-32C of each file that it takes in or writes.
pub(super) fn keep(options: &mut Options) {
    #[expect(unsafe_code, reason = "rocksdb has no safe name for it")]
    // SAFETY: the pointer is that of `options`, borrowed mutably; the options share the factory's content, so that the factory
    // itself, made here and used nowhere else, is destroyed here.
    unsafe {
        let factory = ffi::rocksdb_file_checksum_gen_crc32c_factory_create();
        ffi::rocksdb_options_set_file_checksum_gen_factory(options.as_raw_ptr(), factory);
        ffi::rocksdb_file_checksum_gen_factory_destroy(factory);
    }
}

/// Reads every file and compares its checksum. What RocksDB says if one differs.
pub(super) fn verify(db: &DB) -> Result<(), String> {
    let mut message = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "rocksdb has no safe name for it")]
    // SAFETY: the pointer is that of `db`, open during the call. RocksDB leaves `message` null or makes it a C string of its own
    // allocation, which is read before it is freed, once.
    unsafe {
        ffi::rocksdb_verify_file_checksums(db.as_raw_ptr(), &raw mut message);
        if message.is_null() {
            return Ok(());
        }
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::rocksdb_free(message.cast());
        Err(text)
    }
}
