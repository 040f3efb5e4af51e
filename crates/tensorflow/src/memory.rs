//! Giving memory back to the system.

/// Gives back to the system what the allocator keeps of memory that was freed: after a
/// model is unloaded, it may be most of what the process has. Takes some milliseconds for
/// each gigabyte, and other threads wait for the part of it that is in their own arena; so
/// not in a thread of low priority, which would keep them waiting for longer.
pub fn give_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            /// glibc's; gives back all free memory but `pad` bytes.
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: takes a number, locks what it changes, and touches only memory that is
        // free; may be called from any thread at any time.
        unsafe { malloc_trim(0) };
    }
}
