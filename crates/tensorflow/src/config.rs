//! The options of a session and of a run, in the protobuf encoding that TensorFlow
//! takes them in: the few fields of `ConfigProto` and `RunOptions` that we set.

use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

use prost::Message;
use prost::encoding;

use crate::api::Buffer;

/// How a session uses the machine. TensorFlow has one set of threads for a process
/// and makes it for the first session: the options of the first count for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    /// Threads that one operation may be spread over; 0: one a core.
    pub intra_op_threads: u32,
    /// Threads that operations may be run on side by side; 0: one a core.
    pub inter_op_threads: u32,
}

/// `tensorflow.ConfigProto`.
#[derive(Clone, PartialEq, Message)]
struct ConfigProto {
    #[prost(int32, tag = "2")]
    intra_op_parallelism_threads: i32,
    #[prost(int32, tag = "5")]
    inter_op_parallelism_threads: i32,
    #[prost(bool, tag = "7")]
    allow_soft_placement: bool,
    #[prost(message, optional, tag = "16")]
    experimental: Option<ConfigExperimental>,
}

/// `tensorflow.ConfigProto.Experimental`.
#[derive(Clone, PartialEq, Message)]
struct ConfigExperimental {
    #[prost(bool, tag = "12")]
    optimize_for_static_graph: bool,
    #[prost(bool, tag = "14")]
    disable_output_partition_graphs: bool,
}

impl SessionOptions {
    /// As an encoded `ConfigProto`.
    pub(crate) fn encode(self) -> Vec<u8> {
        let threads = |count| i32::try_from(count).unwrap_or(i32::MAX);
        ConfigProto {
            intra_op_parallelism_threads: threads(self.intra_op_threads),
            inter_op_parallelism_threads: threads(self.inter_op_threads),
            // A model exported on a machine with a GPU names it in its graph.
            allow_soft_placement: true,
            // The graph is never extended and never shown, so that TensorFlow need
            // not keep its own copies of it.
            experimental: Some(ConfigExperimental {
                optimize_for_static_graph: true,
                disable_output_partition_graphs: true,
            }),
        }
        .encode_to_vec()
    }
}

/// Whose threads the operations of a run are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunThreads {
    /// The caller's: no thread switch.
    Caller,
    /// TensorFlow's inter-op pool.
    Pool,
}

/// `RunOptions.timeout_in_ms`.
const TIMEOUT_IN_MS: u32 = 2;
/// 24 days. TensorFlow multiplies without a check for overflow.
const MAX_TIMEOUT_MS: i64 = i32::MAX as i64;
/// `RunOptions.inter_op_thread_pool`.
const INTER_OP_THREAD_POOL: u32 = 3;

/// An encoded `tensorflow.RunOptions`, kept on the stack.
pub(crate) struct RunOptions {
    /// Two fields of at most 1 + 10 bytes.
    bytes: [u8; 22],
    length: usize,
}

impl RunOptions {
    /// Options for a run on these threads that ends with `DEADLINE_EXCEEDED` after
    /// `timeout`, rounded up to whole milliseconds and at least one.
    pub(crate) fn new(threads: RunThreads, timeout: Option<Duration>) -> Self {
        let mut bytes = [0; 22];
        let mut rest = &mut bytes[..];
        if let Some(timeout) = timeout {
            let millis = timeout.as_nanos().div_ceil(1_000_000).max(1);
            let millis = i64::try_from(millis)
                .unwrap_or(MAX_TIMEOUT_MS)
                .min(MAX_TIMEOUT_MS);
            encoding::int64::encode(TIMEOUT_IN_MS, &millis, &mut rest);
        }
        if threads == RunThreads::Caller {
            encoding::int32::encode(INTER_OP_THREAD_POOL, &-1, &mut rest);
        }
        let length = 22 - rest.len();
        Self { bytes, length }
    }

    /// As a call takes it; borrows `self`, so it must not be used after it.
    pub(crate) fn as_buffer(&self) -> Buffer {
        Buffer {
            data: ptr::from_ref(&self.bytes).cast::<c_void>(),
            length: self.length,
            deallocator: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RunOptions, RunThreads, SessionOptions};
    use std::time::Duration;

    fn run_options(threads: RunThreads, timeout: Option<Duration>) -> Vec<u8> {
        let options = RunOptions::new(threads, timeout);
        options.bytes[..options.length].to_vec()
    }

    #[test]
    fn run_options_as_protobuf() {
        let caller = [&[0x18][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(run_options(RunThreads::Caller, None), caller);
        assert!(run_options(RunThreads::Pool, None).is_empty());
        let timed = run_options(RunThreads::Caller, Some(Duration::from_millis(300)));
        assert_eq!(timed, [&[0x10, 0xac, 0x02][..], &caller].concat());
        let longest = run_options(RunThreads::Caller, Some(Duration::MAX));
        assert_eq!(longest.len(), 17);
    }

    #[test]
    fn timeouts_are_rounded_up_and_never_none() {
        for (timeout, millis) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            let timeout = Some(Duration::from_nanos(timeout));
            assert_eq!(run_options(RunThreads::Pool, timeout), [0x10, millis]);
        }
    }

    #[test]
    fn session_options_as_protobuf() {
        let options = SessionOptions {
            intra_op_threads: 3,
            inter_op_threads: 0,
        };
        let expected = [0x10, 3, 0x38, 1, 0x82, 0x01, 4, 0x60, 1, 0x70, 1];
        assert_eq!(options.encode(), expected);
    }
}
