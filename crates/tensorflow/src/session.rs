//! A session and its graph: TensorFlow's side of one loaded model.

use std::ffi::{CString, c_int, c_void};
use std::path::Path;
use std::ptr;

use engine::ServeError;
use smallvec::SmallVec;

use crate::api::{Api, Output, RawGraph, RawSession, RawSessionOptions};
use crate::config::{RunOptions, RunThreads, SessionConfig};
use crate::library::c_path;
use crate::status::Status;
use crate::tags::Tags;
use crate::tensor::TfTensor;

/// Added to a type's number where a reference to a variable is meant.
const REFERENCE: i32 = 100;

/// A graph. Operations found in it live as long as it does.
pub(crate) struct Graph {
    raw: *mut RawGraph,
    api: &'static Api,
}

impl Graph {
    fn new(api: &'static Api) -> Self {
        Self {
            // SAFETY: takes nothing, gives a graph that is ours until deleted.
            raw: unsafe { (api.new_graph)() },
            api,
        }
    }

    /// An operation's output and the `tensorflow.DataType` number of its elements, if
    /// the graph has it.
    pub(crate) fn output(&self, operation: &str, index: c_int) -> Option<(Output, i32)> {
        let name = CString::new(operation).ok()?;
        // SAFETY: the graph lives; a C string that lives during the call.
        let operation = unsafe { (self.api.operation_by_name)(self.raw, name.as_ptr()) };
        if operation.is_null() {
            return None;
        }
        // SAFETY: an operation of this graph, which lives.
        let count = unsafe { (self.api.operation_num_outputs)(operation) };
        if !(0..count).contains(&index) {
            return None;
        }
        let output = Output { operation, index };
        // SAFETY: an operation of this graph, which has an output of that index.
        let number = unsafe { (self.api.operation_output_type)(output) };
        let is_reference = number > REFERENCE;
        Some((output, number - if is_reference { REFERENCE } else { 0 }))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: ours, deleted once; the session that used it is gone, as it is
        // declared before the graph in `Session`.
        unsafe { (self.api.delete_graph)(self.raw) };
    }
}

/// A `TF_Session`; closed and deleted when dropped.
struct SessionHandle {
    raw: *mut RawSession,
    api: &'static Api,
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        let mut status = Status::new(self.api);
        // SAFETY: ours; no run is under way, as each borrows the session. Deleted once,
        // after it was closed; nobody can do anything about an error here.
        unsafe {
            (self.api.close_session)(self.raw, status.as_mut_ptr());
            (self.api.delete_session)(self.raw, status.as_mut_ptr());
        }
    }
}

/// A loaded graph with its variables.
pub(crate) struct Session {
    // The order is that of dropping: the session first.
    handle: SessionHandle,
    graph: Graph,
}

// SAFETY: nothing in it belongs to a thread: TensorFlow's sessions and graphs may be
// used and deleted from any.
unsafe impl Send for Session {}

// SAFETY: `TF_SessionRun` and the graph's look-ups may be called from many threads at
// once; they lock what they change.
unsafe impl Sync for Session {}

impl Session {
    /// Loads the graph with these tags of the SavedModel directory at `path`: builds the graph, restores the
    /// variables, runs the initialisation. TensorFlow's own error if that fails.
    pub(crate) fn load(
        api: &'static Api,
        config: &SessionConfig,
        path: &Path,
        tags: &Tags,
    ) -> Result<Self, ServeError> {
        let directory = c_path(path)?;
        let tags = tags.as_pointers();
        let options = RawOptions::new(api, config)?;
        let graph = Graph::new(api);
        let mut status = Status::new(api);
        // In the caller's thread, where a function that can't be built fails in order:
        // in the pool, TensorFlow can free the session under the thread that failed.
        let run_options = RunOptions::new(RunThreads::Caller, None);
        let run_options = run_options.as_buffer();
        // SAFETY: everything passed lives during the call, the tags are counted, and
        // the graph is new. The meta graph, which we have read, may be null.
        let raw = unsafe {
            (api.load_session)(
                options.raw,
                &raw const run_options,
                directory.as_ptr(),
                tags.as_ptr(),
                tags.len() as c_int,
                graph.raw,
                ptr::null_mut(),
                status.as_mut_ptr(),
            )
        };
        status.check()?;
        Ok(Self {
            handle: SessionHandle { raw, api },
            graph,
        })
    }

    /// The graph, for looking tensors up.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The functions that the session was loaded with.
    pub(crate) fn api(&self) -> &'static Api {
        self.handle.api
    }

    /// Feeds `inputs` to `feeds`, one each, in the same order, and gives one tensor for
    /// each of `fetches`.
    ///
    /// # Safety
    /// `feeds` and `fetches` are outputs from this session's graph.
    pub(crate) unsafe fn run(
        &self,
        (feeds, inputs): (&[Output], &[TfTensor]),
        fetches: &[Output],
        options: &RunOptions,
    ) -> Result<SmallVec<[TfTensor; 4]>, ServeError> {
        if feeds.len() != inputs.len() {
            return Err(ServeError::internal("not one tensor for each feed"));
        }
        let api = self.handle.api;
        let inputs: SmallVec<[_; 8]> = inputs.iter().map(TfTensor::as_ptr).collect();
        let mut outputs: SmallVec<[_; 8]> = SmallVec::from_elem(ptr::null_mut(), fetches.len());
        let options = options.as_buffer();
        let mut status = Status::new(api);
        // SAFETY: every array has the length given with it and lives during the call;
        // the caller vouches for feeds and fetches; the inputs stay ours.
        unsafe {
            (api.session_run)(
                self.handle.raw,
                &raw const options,
                feeds.as_ptr(),
                inputs.as_ptr(),
                inputs.len() as c_int,
                fetches.as_ptr(),
                outputs.as_mut_ptr(),
                fetches.len() as c_int,
                ptr::null(),
                0,
                ptr::null_mut(),
                status.as_mut_ptr(),
            );
        }
        // A failed run makes no outputs.
        status.check()?;
        outputs
            .into_iter()
            // SAFETY: a tensor that this run made for us.
            .map(|raw| unsafe { TfTensor::from_raw(api, raw) })
            .collect::<Option<_>>()
            .ok_or_else(|| ServeError::internal("TensorFlow gave no tensor for an output"))
    }
}

/// `TF_SessionOptions`, needed only to load.
struct RawOptions {
    raw: *mut RawSessionOptions,
    api: &'static Api,
}

impl RawOptions {
    fn new(api: &'static Api, config: &SessionConfig) -> Result<Self, ServeError> {
        let config = config.as_bytes();
        let mut status = Status::new(api);
        let made = Self {
            // SAFETY: takes nothing, gives options that are ours until deleted.
            raw: unsafe { (api.new_session_options)() },
            api,
        };
        // SAFETY: our options, and `config.len()` bytes that are read, not kept.
        unsafe {
            let bytes = config.as_ptr().cast::<c_void>();
            (api.set_config)(made.raw, bytes, config.len(), status.as_mut_ptr());
        }
        status.check()?;
        Ok(made)
    }
}

impl Drop for RawOptions {
    fn drop(&mut self) {
        // SAFETY: ours, deleted once; sessions copy what they need of it.
        unsafe { (self.api.delete_session_options)(self.raw) };
    }
}
