//! What a call of TensorFlow's answered: nothing, or a code and a message.

use std::ffi::CStr;

use engine::{Kind, ServeError};

use crate::api::{self, Api};

/// A status for one call at a time.
pub(crate) struct Status {
    raw: *mut api::Status,
    api: &'static Api,
}

impl Status {
    pub(crate) fn new(api: &'static Api) -> Self {
        Self {
            // SAFETY: takes nothing, gives a status that is ours until deleted.
            raw: unsafe { (api.new_status)() },
            api,
        }
    }

    /// For a call to write into.
    pub(crate) fn as_mut_ptr(&mut self) -> *mut api::Status {
        self.raw
    }

    /// The error that the last call wrote, if it did.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        // SAFETY: `raw` lives until `self` is dropped.
        let code = unsafe { (self.api.code)(self.raw) };
        if code == 0 {
            return Ok(());
        }
        // SAFETY: a C string inside the status, unchanged until its next use.
        let message = unsafe { CStr::from_ptr((self.api.message)(self.raw)) };
        // Messages may quote a client's bytes, which need not be text.
        let message = message.to_string_lossy().into_owned();
        Err(ServeError::new(Kind::from_code(code), message))
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        // SAFETY: made by `new_status`, deleted once, here.
        unsafe { (self.api.delete_status)(self.raw) };
    }
}
