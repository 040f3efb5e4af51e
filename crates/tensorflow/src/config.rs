//! The options of a session and of a run, in the protobuf encoding that TensorFlow
//! takes them in: the few fields of `ConfigProto` and `RunOptions` that we set.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use prost::encoding;

use crate::api::Buffer;

/// How sessions use the machine. TensorFlow has one set of threads for a process and
/// makes it for the first session: the threads of the first count for all. What is
/// `None` is as `base` says, else as we think best for serving.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionOptions {
    /// An encoded `tensorflow.ConfigProto`, in place of [`SessionConfig::default`].
    pub base: Option<Vec<u8>>,
    /// Threads that one operation may be spread over; 0: one a core.
    pub intra_op_threads: Option<u32>,
    /// Threads that operations may be run on side by side; 0: one a core.
    pub inter_op_threads: Option<u32>,
    /// Whether XLA compiles what it can of every graph.
    pub xla: Option<bool>,
    /// Whether XLA does so for the CPU too, where it does at all; `None`: yes.
    pub xla_on_cpu: Option<bool>,
    /// Whether a graph's 32 bit floats become bfloat16 where the CPU is faster with them.
    pub bfloat16: Option<bool>,
    /// Whether GPU memory is taken as it is needed, not all of it at the start.
    pub gpu_memory_growth: Option<bool>,
    /// Most of each GPU's memory, above 0; 1: all of it.
    pub gpu_memory_fraction: Option<f64>,
}

/// An encoded `tensorflow.ConfigProto`, as sessions are made with; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig(Arc<[u8]>);

impl SessionConfig {
    /// The encoded message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether each session gets threads of its own, made by the thread that loads it, of
    /// whose priority they then are.
    pub fn has_own_threads(&self) -> bool {
        // What can't be read is refused by TensorFlow, at the first load.
        let threads = OwnThreads::decode(self.as_bytes()).unwrap_or_default();
        threads.use_per_session_threads || !threads.session_inter_op_thread_pool.is_empty()
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self(Arc::from(defaults().encode_to_vec()))
    }
}

impl From<&SessionOptions> for SessionConfig {
    fn from(options: &SessionOptions) -> Self {
        // Encoded messages one after the other are their merge: a field that the later
        // one has, be it zero or false, is the one that counts.
        let mut bytes = match &options.base {
            Some(base) => base.clone(),
            None => defaults().encode_to_vec(),
        };
        bytes.extend(given(options).encode_to_vec());
        Self(Arc::from(bytes))
    }
}

/// What we ask for where nobody says otherwise.
fn defaults() -> ConfigProto {
    ConfigProto {
        // A model exported on a machine with a GPU names it in its graph.
        allow_soft_placement: Some(true),
        // Others may need the GPU as well.
        gpu_options: Some(GpuOptions {
            allow_growth: Some(true),
            ..GpuOptions::default()
        }),
        // The graph is never extended and never shown, so that TensorFlow need not
        // keep its own copies of it.
        experimental: Some(ConfigExperimental {
            optimize_for_static_graph: Some(true),
            disable_output_partition_graphs: Some(true),
        }),
        ..ConfigProto::default()
    }
}

/// What `options` says, and nothing else.
fn given(options: &SessionOptions) -> ConfigProto {
    let threads = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    let gpu = GpuOptions {
        per_process_gpu_memory_fraction: options.gpu_memory_fraction,
        allow_growth: options.gpu_memory_growth,
    };
    let optimizer = |on| OptimizerOptions {
        global_jit_level: Some(if on { JIT_ON } else { JIT_OFF }),
        cpu_global_jit: Some(on && options.xla_on_cpu.unwrap_or(true)),
    };
    let rewriting = |on| RewriterConfig {
        auto_mixed_precision_onednn_bfloat16: Some(if on { TOGGLE_ON } else { TOGGLE_OFF }),
    };
    let graph = GraphOptions {
        optimizer_options: options.xla.map(optimizer),
        rewrite_options: options.bfloat16.map(rewriting),
    };
    ConfigProto {
        intra_op_parallelism_threads: options.intra_op_threads.map(threads),
        inter_op_parallelism_threads: options.inter_op_threads.map(threads),
        gpu_options: (gpu != GpuOptions::default()).then_some(gpu),
        graph_options: (graph != GraphOptions::default()).then_some(graph),
        ..ConfigProto::default()
    }
}

/// What `tensorflow.ConfigProto` says of a session's own threads.
#[derive(Clone, PartialEq, Message)]
struct OwnThreads {
    #[prost(bool, tag = "9")]
    use_per_session_threads: bool,
    #[prost(bytes = "vec", repeated, tag = "12")]
    session_inter_op_thread_pool: Vec<Vec<u8>>,
}

/// `tensorflow.ConfigProto`.
#[derive(Clone, PartialEq, Message)]
struct ConfigProto {
    #[prost(int32, optional, tag = "2")]
    intra_op_parallelism_threads: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    inter_op_parallelism_threads: Option<i32>,
    #[prost(message, optional, tag = "6")]
    gpu_options: Option<GpuOptions>,
    #[prost(bool, optional, tag = "7")]
    allow_soft_placement: Option<bool>,
    #[prost(message, optional, tag = "10")]
    graph_options: Option<GraphOptions>,
    #[prost(message, optional, tag = "16")]
    experimental: Option<ConfigExperimental>,
}

/// `tensorflow.GPUOptions`.
#[derive(Clone, PartialEq, Message)]
struct GpuOptions {
    #[prost(double, optional, tag = "1")]
    per_process_gpu_memory_fraction: Option<f64>,
    #[prost(bool, optional, tag = "4")]
    allow_growth: Option<bool>,
}

/// `tensorflow.GraphOptions`.
#[derive(Clone, PartialEq, Message)]
struct GraphOptions {
    #[prost(message, optional, tag = "3")]
    optimizer_options: Option<OptimizerOptions>,
    #[prost(message, optional, tag = "10")]
    rewrite_options: Option<RewriterConfig>,
}

/// `tensorflow.RewriterConfig`.
#[derive(Clone, PartialEq, Message)]
struct RewriterConfig {
    #[prost(int32, optional, tag = "31")]
    auto_mixed_precision_onednn_bfloat16: Option<i32>,
}

/// `RewriterConfig.Toggle`.
const TOGGLE_ON: i32 = 1;
const TOGGLE_OFF: i32 = 2;

/// `tensorflow.OptimizerOptions`.
#[derive(Clone, PartialEq, Message)]
struct OptimizerOptions {
    #[prost(int32, optional, tag = "5")]
    global_jit_level: Option<i32>,
    #[prost(bool, optional, tag = "7")]
    cpu_global_jit: Option<bool>,
}

/// `OptimizerOptions.GlobalJitLevel`: `ON_2`, which clusters more than `ON_1`, is what
/// TensorFlow itself takes for "on".
const JIT_ON: i32 = 2;
const JIT_OFF: i32 = -1;

/// `tensorflow.ConfigProto.Experimental`.
#[derive(Clone, PartialEq, Message)]
struct ConfigExperimental {
    #[prost(bool, optional, tag = "12")]
    optimize_for_static_graph: Option<bool>,
    #[prost(bool, optional, tag = "14")]
    disable_output_partition_graphs: Option<bool>,
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
    use super::{RunOptions, RunThreads, SessionConfig, SessionOptions};
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

    /// The fields of our defaults, in their order on the wire.
    const DEFAULTS: [u8; 13] = [0x32, 2, 0x20, 1, 0x38, 1, 0x82, 0x01, 4, 0x60, 1, 0x70, 1];

    fn encoded(options: &SessionOptions) -> Vec<u8> {
        SessionConfig::from(options).as_bytes().to_vec()
    }

    #[test]
    fn what_is_given_follows_the_defaults() {
        assert_eq!(SessionConfig::default().as_bytes(), DEFAULTS);
        assert_eq!(encoded(&SessionOptions::default()), DEFAULTS);
        let options = SessionOptions {
            intra_op_threads: Some(3),
            inter_op_threads: Some(0),
            ..SessionOptions::default()
        };
        assert_eq!(
            encoded(&options),
            [&DEFAULTS[..], &[0x10, 3, 0x28, 0]].concat()
        );
    }

    #[test]
    fn xla_on_gpus_alone_and_bfloat16() {
        let options = SessionOptions {
            xla: Some(true),
            xla_on_cpu: Some(false),
            bfloat16: Some(true),
            ..SessionOptions::default()
        };
        let given = [0x52, 11, 0x1a, 4, 0x28, 2, 0x38, 0, 0x52, 3, 0xf8, 1, 1];
        assert_eq!(encoded(&options), [&DEFAULTS[..], &given].concat());
    }

    #[test]
    fn a_base_takes_the_place_of_the_defaults() {
        let options = SessionOptions {
            base: Some(vec![0x48, 1]),
            gpu_memory_growth: Some(false),
            xla: Some(true),
            ..SessionOptions::default()
        };
        let given = [0x32, 2, 0x20, 0, 0x52, 6, 0x1a, 4, 0x28, 2, 0x38, 1];
        assert_eq!(encoded(&options), [&[0x48, 1][..], &given].concat());
    }
}
