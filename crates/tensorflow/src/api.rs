//! The functions of TensorFlow's C API that we call, looked up once by name, and the
//! C types in their signatures (`tensorflow/c/c_api.h` of the supported versions).

use std::ffi::{c_char, c_int, c_void};
use std::marker::{PhantomData, PhantomPinned};

use libloading::os::unix::Library as Handle;

macro_rules! opaque_types {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub(crate) struct $name {
            _size_unknown: [u8; 0],
            _owned_by_tensorflow: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

opaque_types! {
    /// `TF_Status`.
    Status,
    /// `TF_Tensor`.
    RawTensor,
    /// `TF_Graph`.
    RawGraph,
    /// `TF_Session`.
    RawSession,
    /// `TF_SessionOptions`.
    RawSessionOptions,
    /// `TF_Operation`; lives as long as its graph.
    Operation,
    /// `TF_Library`: the list of operations that an op library brought.
    OpLibrary,
}

/// `TF_Buffer`: bytes that a call reads and does not keep, or gives us.
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) data: *const c_void,
    pub(crate) length: usize,
    /// Null: nobody frees the bytes.
    pub(crate) deallocator: Option<unsafe extern "C" fn(*mut c_void, usize)>,
}

/// `TF_Output`: one of an operation's outputs.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) operation: *mut Operation,
    pub(crate) index: c_int,
}

/// `TF_TString`: an element of a string tensor. Never read or written here, only by
/// TensorFlow's own functions: its layout has changed between versions, its size not.
#[repr(C, align(8))]
pub(crate) struct StringSlot {
    _layout_unknown: [u8; 24],
}

/// How a buffer that TensorFlow has taken over is given back.
pub(crate) type Deallocator = unsafe extern "C" fn(*mut c_void, usize, *mut c_void);

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// Pointers to TensorFlow's functions, valid for the life of the process
        /// because the library is never closed.
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// Looks all functions up; the names of all that are missing otherwise.
            ///
            /// # Safety
            /// `handle` is a TensorFlow library of a supported version, whose
            /// functions have the types given here, and it is never closed.
            pub(crate) unsafe fn resolve(handle: &Handle) -> Result<Self, Vec<&'static str>> {
                let mut missing = Vec::new();
                $(
                    // SAFETY: the caller vouches for the function's type and that it
                    // outlives the pointer copied out of the symbol.
                    let $name = unsafe {
                        handle.get::<unsafe extern "C" fn($($argument),*) $(-> $result)?>($symbol)
                    }
                    .map(|symbol| *symbol)
                    .map_err(|_absent| missing.push($symbol))
                    .ok();
                )*
                match ($($name,)*) {
                    ($(Some($name),)*) => Ok(Self { $($name,)* }),
                    _ => Err(missing),
                }
            }
        }
    };
}

functions! {
    new_status = "TF_NewStatus" () -> *mut Status;
    delete_status = "TF_DeleteStatus" (*mut Status);
    code = "TF_GetCode" (*const Status) -> c_int;
    message = "TF_Message" (*const Status) -> *const c_char;

    new_tensor = "TF_NewTensor" (
        c_int, *const i64, c_int, *mut c_void, usize, Deallocator, *mut c_void,
    ) -> *mut RawTensor;
    allocate_tensor = "TF_AllocateTensor" (c_int, *const i64, c_int, usize) -> *mut RawTensor;
    delete_tensor = "TF_DeleteTensor" (*mut RawTensor);
    tensor_type = "TF_TensorType" (*const RawTensor) -> c_int;
    num_dims = "TF_NumDims" (*const RawTensor) -> c_int;
    dim = "TF_Dim" (*const RawTensor, c_int) -> i64;
    tensor_data = "TF_TensorData" (*const RawTensor) -> *mut c_void;
    tensor_byte_size = "TF_TensorByteSize" (*const RawTensor) -> usize;
    tensor_default_alignment = "TF_TensorDefaultAlignment" () -> usize;

    string_init = "TF_StringInit" (*mut StringSlot);
    string_copy = "TF_StringCopy" (*mut StringSlot, *const c_char, usize);
    string_data = "TF_StringGetDataPointer" (*const StringSlot) -> *const c_char;
    string_size = "TF_StringGetSize" (*const StringSlot) -> usize;

    new_graph = "TF_NewGraph" () -> *mut RawGraph;
    delete_graph = "TF_DeleteGraph" (*mut RawGraph);
    operation_by_name = "TF_GraphOperationByName" (*mut RawGraph, *const c_char) -> *mut Operation;
    operation_num_outputs = "TF_OperationNumOutputs" (*mut Operation) -> c_int;
    operation_output_type = "TF_OperationOutputType" (Output) -> c_int;

    new_session_options = "TF_NewSessionOptions" () -> *mut RawSessionOptions;
    set_config = "TF_SetConfig" (*mut RawSessionOptions, *const c_void, usize, *mut Status);
    delete_session_options = "TF_DeleteSessionOptions" (*mut RawSessionOptions);
    load_session = "TF_LoadSessionFromSavedModel" (
        *const RawSessionOptions, *const Buffer, *const c_char, *const *const c_char, c_int,
        *mut RawGraph, *mut Buffer, *mut Status,
    ) -> *mut RawSession;
    session_run = "TF_SessionRun" (
        *mut RawSession, *const Buffer,
        *const Output, *const *mut RawTensor, c_int,
        *const Output, *mut *mut RawTensor, c_int,
        *const *const Operation, c_int,
        *mut Buffer, *mut Status,
    );
    close_session = "TF_CloseSession" (*mut RawSession, *mut Status);
    delete_session = "TF_DeleteSession" (*mut RawSession, *mut Status);

    load_library = "TF_LoadLibrary" (*const c_char, *mut Status) -> *mut OpLibrary;
    get_all_op_list = "TF_GetAllOpList" () -> *mut Buffer;
    delete_buffer = "TF_DeleteBuffer" (*mut Buffer);
    delete_library_handle = "TF_DeleteLibraryHandle" (*mut OpLibrary);
}
