"""The flags of `tensorflow_model_server`, every one, in the order of its own help, with what
each of them does here. Their names, kinds and defaults are TensorFlow Serving's.
"""

from __future__ import annotations

import os

from .flag import INT32, Flag, Kind

_PORTS = (0, 65535)
_THREADS = (0, 1024)
_POSITIVE = (1, INT32[1])


def cores() -> int:
    """The cores that the process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _handlers() -> int:
    return 4 * cores()


_NETWORK = (
    Flag(
        "port",
        Kind.INT32,
        8500,
        "TCP port of gRPC, on every IPv4 address; HTTP/1.1 requests are answered on it too. "
        "0: none, then --grpc_socket_path has to be given.",
        _PORTS,
    ),
    Flag(
        "grpc_socket_path",
        Kind.STRING,
        "",
        "Path of a Unix socket to listen on as well; a socket that nobody listens on is replaced.",
    ),
    Flag(
        "rest_api_port",
        Kind.INT32,
        0,
        "Port for REST alone, on every address; 0: none. If it is the same as --port, REST is "
        "served there, as it is in any case.",
        _PORTS,
    ),
    Flag(
        "rest_api_num_threads",
        Kind.INT32,
        _handlers,
        "REST is served by the threads that serve gRPC.",
        is_effective=False,
    ),
    Flag(
        "rest_api_timeout_in_ms",
        Kind.INT32,
        30000,
        "Milliseconds that a REST call may take; 0: any time.",
        (0, INT32[1]),
    ),
    Flag(
        "rest_api_enable_cors_support",
        Kind.BOOL,
        False,
        "Answer REST calls with CORS headers, so that pages of other origins may read them.",
    ),
)

_BATCHING = (
    Flag(
        "enable_batching",
        Kind.BOOL,
        False,
        "true: batches by TensorFlow Serving's parameters; false, if given: none. Not given: "
        "by each model's measured cost, without waiting and without anything to tune.",
    ),
    Flag(
        "allow_version_labels_for_unavailable_models",
        Kind.BOOL,
        False,
        "a label may always be given to a version that is still to be loaded.",
        is_effective=False,
    ),
    Flag(
        "batching_parameters_file",
        Kind.STRING,
        "",
        "File with BatchingParameters in text format; needs --enable_batching.",
    ),
    Flag(
        "enable_per_model_batching_parameters",
        Kind.BOOL,
        False,
        "Take each version's parameters from batching_params.pbtxt in its folder; a version "
        "without that file is not batched. Needs --enable_batching.",
    ),
)

_MODELS = (
    Flag(
        "model_config_file",
        Kind.STRING,
        "",
        "File with a ModelServerConfig in text format: the models to serve; goes before "
        "--model_name and --model_base_path.",
    ),
    Flag(
        "model_config_file_poll_wait_seconds",
        Kind.INT32,
        0,
        "Seconds between looks at that file, whose changes are then taken over; 0: it is read "
        "once.",
    ),
    Flag("model_name", Kind.STRING, "default", "Name of the one model to serve."),
    Flag(
        "model_base_path",
        Kind.STRING,
        "",
        "Folder, or URL, that holds a folder for each version of the one model.",
    ),
    Flag(
        "num_load_threads",
        Kind.INT32,
        0,
        "Most versions that load at once; 0: one a core, at least 4.",
        _THREADS,
    ),
    Flag(
        "num_unload_threads",
        Kind.INT32,
        0,
        "a version is unloaded when its last request has ended, each by itself.",
        _THREADS,
        is_effective=False,
    ),
    Flag(
        "max_num_load_retries",
        Kind.INT32,
        5,
        "How often loading a version is tried again after it has failed.",
    ),
    Flag(
        "load_retry_interval_micros",
        Kind.INT64,
        60_000_000,
        "Microseconds before the first of these tries; the time doubles with each, up to a "
        "minute. Negative: none.",
    ),
    Flag(
        "file_system_poll_wait_seconds",
        Kind.INT32,
        1,
        "Seconds between looks for new versions; 0: only once, at the start. Negative: the same.",
    ),
    Flag(
        "flush_filesystem_caches",
        Kind.BOOL,
        True,
        "no files are kept in memory after they were loaded.",
        is_effective=False,
    ),
)

_TENSORFLOW = (
    Flag(
        "tensorflow_session_parallelism",
        Kind.INT64,
        0,
        "TensorFlow's threads, inside an operation and between operations; 0: one a core.",
        _THREADS,
    ),
    Flag(
        "tensorflow_session_config_file",
        Kind.STRING,
        "",
        "File with TensorFlow's ConfigProto in text format.",
    ),
    Flag(
        "tensorflow_intra_op_parallelism",
        Kind.INT64,
        0,
        "TensorFlow's threads inside an operation; 0: as --tensorflow_session_parallelism.",
        _THREADS,
    ),
    Flag(
        "tensorflow_inter_op_parallelism",
        Kind.INT64,
        0,
        "TensorFlow's threads between operations; 0: as --tensorflow_session_parallelism.",
        _THREADS,
    ),
)

_CREDENTIALS = (
    Flag(
        "use_alts_credentials",
        Kind.BOOL,
        False,
        "Refused: ALTS works inside Google's network alone. Use --ssl_config_file.",
    ),
    Flag(
        "ssl_config_file",
        Kind.STRING,
        "",
        "File with an SSLConfig in text format, which holds the PEM texts: gRPC's listeners then "
        "speak TLS. REST's own port does not.",
    ),
    Flag(
        "platform_config_file",
        Kind.STRING,
        "",
        "File with a PlatformConfigMap in text format; what it says of batching, session and "
        "tags of the platform tensorflow takes the place of the flags for them.",
    ),
    Flag(
        "per_process_gpu_memory_fraction",
        Kind.FLOAT,
        0.0,
        "Most of each GPU's memory that is taken; 0: what is needed.",
        (0, 1),
    ),
    Flag(
        "saved_model_tags",
        Kind.STRING,
        "serve",
        "Tags, with commas between them, of the graph that is served.",
    ),
    Flag(
        "grpc_channel_arguments",
        Kind.STRING,
        "",
        "gRPC's own settings, such as grpc.max_connection_age_ms=2000, with commas between them.",
    ),
    Flag(
        "grpc_max_threads",
        Kind.INT32,
        _handlers,
        "Most requests at once, over which RESOURCE_EXHAUSTED is answered; not given: 65536, as "
        "no thread is taken by a request.",
        _POSITIVE,
    ),
)

_LOADING = (
    Flag(
        "enable_model_warmup",
        Kind.BOOL,
        True,
        "Run the requests recorded in a version's assets.extra before it serves.",
    ),
    Flag(
        "num_request_iterations_for_warmup",
        Kind.INT32,
        0,
        "How often each of these is run; 0 and less: once.",
    ),
    Flag("version", Kind.BOOL, False, "Print the versions and exit."),
    Flag(
        "monitoring_config_file",
        Kind.STRING,
        "",
        "File with a MonitoringConfig in text format: where metrics are answered in TensorFlow "
        "Serving's names. /metrics has ours in any case.",
    ),
    Flag(
        "remove_unused_fields_from_bundle_metagraph",
        Kind.BOOL,
        True,
        "of a model's description only its signatures are kept.",
        is_effective=False,
    ),
    Flag(
        "prefer_tflite_model",
        Kind.BOOL,
        False,
        "TensorFlow Lite models are not served, but the SavedModel beside one is.",
        is_effective=False,
    ),
    Flag(
        "num_tflite_pools",
        Kind.INT32,
        cores,
        "TensorFlow Lite models are not served.",
        is_effective=False,
    ),
    Flag(
        "num_tflite_interpreters_per_pool",
        Kind.INT32,
        1,
        "TensorFlow Lite models are not served.",
        is_effective=False,
    ),
)

_EXTRAS = (
    Flag(
        "enable_signature_method_name_check",
        Kind.BOOL,
        False,
        "Refuse requests to a signature whose method name is another call's.",
    ),
    Flag("xla_cpu_compilation_enabled", Kind.BOOL, False, "Let XLA compile models for the CPU."),
    Flag("xla_gpu_compilation_enabled", Kind.BOOL, False, "Let XLA compile models for GPUs."),
    Flag(
        "enable_profiler",
        Kind.BOOL,
        True,
        "there is no profiler service; /metrics has the time of each phase.",
        is_effective=False,
    ),
    Flag(
        "thread_pool_factory_config_file",
        Kind.STRING,
        "",
        "threads are set by --tensorflow_intra_op_parallelism and its like.",
        is_effective=False,
    ),
    Flag(
        "mixed_precision",
        Kind.STRING,
        "",
        "bfloat16: let TensorFlow compute in it where that pays; nothing else can be given.",
    ),
    Flag(
        "skip_initialize_tpu",
        Kind.BOOL,
        False,
        "no TPU is used.",
        is_effective=False,
    ),
    Flag(
        "enable_grpc_healthcheck_service",
        Kind.BOOL,
        False,
        "Answer health checks for the names ModelService and PredictionService too; all other "
        "names are answered in any case.",
    ),
    Flag(
        "enable_serialization_as_tensor_content",
        Kind.BOOL,
        False,
        "Answer tensors as raw bytes in tensor_content, not as float_val and the like.",
    ),
)

FLAGS: tuple[Flag, ...] = (
    _NETWORK + _BATCHING + _MODELS + _TENSORFLOW + _CREDENTIALS + _LOADING + _EXTRAS
)

BY_NAME: dict[str, Flag] = {flag.name: flag for flag in FLAGS}
