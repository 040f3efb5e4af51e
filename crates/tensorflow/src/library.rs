//! TensorFlow's shared library: found in the installed package, opened once for the
//! life of the process, its version checked before anything else of it is used.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::ServeError;
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};

use crate::api::{Api, Buffer};
use crate::operations::Operations;
use crate::status::Status;

/// The versions whose C API and string layout were tested, as (major, minor).
const SUPPORTED: [(u32, u32); 2] = [(2, 20), (2, 21)];

/// The file with the C API; it brings `libtensorflow_framework` beside it.
#[cfg(not(target_os = "macos"))]
const FILE_NAME: &str = "libtensorflow_cc.so.2";
#[cfg(target_os = "macos")]
const FILE_NAME: &str = "libtensorflow_cc.2.dylib";

/// Makes TensorFlow use its own protobuf, absl and OpenSSL even where the process has
/// others: it exports thousands of their symbols, and mixing them up crashes. The C
/// library's `RTLD_DEEPBIND`; only glibc has it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const DEEPBIND: c_int = 8;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const DEEPBIND: c_int = 0;

/// TensorFlow, opened. There is one in a process, and it stays until the process ends:
/// its threads and the tensors it handed out can't do without it.
pub struct Library {
    api: Api,
    version: String,
    directory: PathBuf,
    /// Read when first asked for, and again once an op library has brought more.
    operations: Mutex<Option<Arc<Operations>>>,
}

static OPENED: Mutex<Option<&'static Library>> = Mutex::new(None);

impl Library {
    /// Opens the library of the TensorFlow package installed at `tensorflow_dir`
    /// (`.../site-packages/tensorflow`); about half a second. The same directory
    /// again gives the same library.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` if there is none, if it can't be opened or is not of a
    /// supported version, or if another directory's is open already.
    pub fn open(tensorflow_dir: &Path) -> Result<&'static Self, ServeError> {
        let directory = tensorflow_dir.canonicalize().map_err(|error| {
            ServeError::failed_precondition(format!(
                "TensorFlow is not at {}: {error}",
                tensorflow_dir.display()
            ))
        })?;
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        match *opened {
            Some(library) if library.directory == directory => Ok(library),
            Some(library) => Err(ServeError::failed_precondition(format!(
                "TensorFlow is already open from {}; a process can't open another, from {}",
                library.directory.display(),
                directory.display(),
            ))),
            None => {
                let library: &'static Self = Box::leak(Box::new(Self::open_first(directory)?));
                *opened = Some(library);
                Ok(library)
            }
        }
    }

    fn open_first(directory: PathBuf) -> Result<Self, ServeError> {
        let file = directory.join(FILE_NAME);
        if !file.is_file() {
            return Err(ServeError::failed_precondition(format!(
                "{} has no {FILE_NAME}; install TensorFlow {} there",
                directory.display(),
                supported_versions(),
            )));
        }
        // SAFETY: TensorFlow's own initialisers run, as they do when Python imports it.
        let handle = unsafe { Handle::open(Some(&file), RTLD_NOW | RTLD_LOCAL | DEEPBIND) }
            .map_err(|error| {
                ServeError::failed_precondition(format!("cannot open {}: {error}", file.display()))
            })?;
        // Never closed, so that function pointers into it stay valid.
        let handle: &'static Handle = Box::leak(Box::new(handle));
        let version = read_version(handle, &file)?;
        check_version(&version, &directory)?;
        // SAFETY: the version is one whose functions have these types; never closed.
        let api = unsafe { Api::resolve(handle) }.map_err(|missing| {
            ServeError::failed_precondition(format!(
                "{} lacks the functions {}",
                file.display(),
                missing.join(", ")
            ))
        })?;
        // SAFETY: takes nothing, gives a number.
        let alignment = unsafe { (api.tensor_default_alignment)() };
        if alignment > tensor::ALIGNMENT {
            return Err(ServeError::failed_precondition(format!(
                "TensorFlow {version} in {} aligns tensors to {alignment} bytes; \
                 at most {} are supported",
                directory.display(),
                tensor::ALIGNMENT,
            )));
        }
        Ok(Self {
            api,
            version,
            directory,
            operations: Mutex::default(),
        })
    }

    /// TensorFlow's own version, `2.21.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Loads a library of custom operations; models loaded later can use them. It
    /// stays until the process ends.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such file; TensorFlow's own error, with the path, if
    /// it can't be loaded.
    pub fn load_op_library(&'static self, path: &Path) -> Result<(), ServeError> {
        // An absolute path, because a bare name would be searched for elsewhere.
        let path = path.canonicalize().map_err(|error| {
            ServeError::not_found(format!("no op library at {}: {error}", path.display()))
        })?;
        let file = c_path(&path)?;
        let mut status = Status::new(&self.api);
        // SAFETY: a C string and a status, both alive during the call. The library's
        // initialisers are the caller's to trust, like the models that need it.
        let loaded = unsafe { (self.api.load_library)(file.as_ptr(), status.as_mut_ptr()) };
        status.check().map_err(|error| {
            let message = format!(
                "TensorFlow {} cannot load the op library {}: {}",
                self.version,
                path.display(),
                error.message()
            );
            ServeError::new(error.kind(), message)
        })?;
        // SAFETY: from `load_library`, deleted once; frees the list of operations, not
        // the operations.
        unsafe { (self.api.delete_library_handle)(loaded) };
        *self.known_operations() = None;
        Ok(())
    }

    /// The operations that TensorFlow has at the moment.
    pub(crate) fn operations(&'static self) -> Result<Arc<Operations>, ServeError> {
        let mut known = self.known_operations();
        if let Some(operations) = &*known {
            return Ok(Arc::clone(operations));
        }
        // SAFETY: takes nothing, gives a buffer that is ours until deleted.
        let buffer = unsafe { (self.api.get_all_op_list)() };
        if buffer.is_null() {
            return Err(ServeError::internal(
                "TensorFlow gives no list of operations",
            ));
        }
        // SAFETY: the buffer lives until it is deleted below, and its bytes with it.
        let list = unsafe {
            let Buffer { data, length, .. } = *buffer;
            slice::from_raw_parts(data.cast::<u8>(), length)
        };
        let operations = Operations::read(list).map_err(|error| {
            ServeError::internal(format!("TensorFlow's list of operations: {error}"))
        });
        // SAFETY: ours, deleted once; what was read of it was copied.
        unsafe { (self.api.delete_buffer)(buffer) };
        let operations = Arc::new(operations?);
        *known = Some(Arc::clone(&operations));
        Ok(operations)
    }

    fn known_operations(&self) -> MutexGuard<'_, Option<Arc<Operations>>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn api(&'static self) -> &'static Api {
        &self.api
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TensorFlow {}", self.version)
    }
}

/// A path as C takes it.
pub(crate) fn c_path(path: &Path) -> Result<CString, ServeError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_nul| {
        ServeError::invalid_argument(format!("the path {} has a zero byte in it", path.display()))
    })
}

fn read_version(handle: &'static Handle, file: &Path) -> Result<String, ServeError> {
    // SAFETY: `TF_Version` has had this type in every release of the C API.
    let version = unsafe { handle.get::<unsafe extern "C" fn() -> *const c_char>("TF_Version") }
        .map_err(|_absent| {
            ServeError::failed_precondition(format!(
                "{} is not TensorFlow's C library: it lacks TF_Version",
                file.display()
            ))
        })?;
    // SAFETY: takes nothing, gives a C string constant.
    let version = unsafe { CStr::from_ptr(version()) };
    Ok(version.to_string_lossy().into_owned())
}

fn check_version(version: &str, directory: &Path) -> Result<(), ServeError> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let found = (numbers.next(), numbers.next());
    let is_supported = |&(major, minor): &(u32, u32)| found == (Some(Ok(major)), Some(Ok(minor)));
    if SUPPORTED.iter().any(is_supported) {
        return Ok(());
    }
    Err(ServeError::failed_precondition(format!(
        "TensorFlow {version} in {} is not supported; install {}",
        directory.display(),
        supported_versions(),
    )))
}

/// `2.20.x or 2.21.x`.
fn supported_versions() -> String {
    SUPPORTED
        .map(|(major, minor)| format!("{major}.{minor}.x"))
        .join(" or ")
}

#[cfg(test)]
mod tests {
    use super::check_version;
    use std::path::Path;

    #[test]
    fn only_tested_versions() {
        for version in ["2.20.0", "2.21.0", "2.21.1", "2.21.0-rc1"] {
            assert!(check_version(version, Path::new("/t")).is_ok(), "{version}");
        }
        for version in ["2.2.0", "2.19.1", "2.22.0", "3.20.0", "", "2", "2.21x"] {
            assert!(
                check_version(version, Path::new("/t")).is_err(),
                "{version}"
            );
        }
        let error = check_version("2.19.1", Path::new("/t")).unwrap_err();
        assert_eq!(
            error.message(),
            "TensorFlow 2.19.1 in /t is not supported; install 2.20.x or 2.21.x"
        );
    }
}
