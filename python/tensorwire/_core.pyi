"""The native core: the only line between Python and Rust.

Everything here is plain data in and out; the friendly classes are in the package
around it. Tensors cross as `WireTensor` tuples. Calls that can take time release the
interpreter lock and notice Ctrl-C.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, final

from .core_types import CostTuple, SignatureTuple, StatusTuple, WireTensor

class NativeError(Exception):
    """An error from the core: `args` are its code ("INVALID_ARGUMENT", ...), its
    message and the address it came from ("" where it came from this process)."""

@final
class Engine:
    """The models of this process, loaded and run by TensorFlow's C library."""

    def __new__(cls, options: str) -> Engine:
        """Opens TensorFlow. `options` is JSON, all of it given; times are in seconds:
        tensorflow_dir (the folder of the installed package), op_libraries (paths),
        runner_threads (0: one a core), limits {requests, rows, bytes} (0: none),
        default_timeout (null: none), measuring {budget (0: off), cache (folder or null)},
        session {base (an encoded ConfigProto as a list of bytes, null:
        `default_session_config`) and what goes before it, null where nothing does:
        intra_op_threads, inter_op_threads (0: one a core), xla, gpu_memory_growth
        (bool), gpu_memory_fraction}.

        Raises NativeError FAILED_PRECONDITION if TensorFlow or an op library can't be
        opened or is not of a supported version.
        """

    @staticmethod
    def default_session_config() -> bytes:
        """The encoded ConfigProto that sessions are made with where nobody says otherwise."""

    @property
    def session_config(self) -> bytes:
        """The encoded ConfigProto that this engine's sessions are made with."""

    @property
    def tensorflow_version(self) -> str:
        """TensorFlow's own version, "2.21.0"."""

    def declare(self, name: str) -> None:
        """Says that a model of this name is wanted; health waits for it."""

    def load(self, name: str, version: int, path: str, options: str) -> Retired | None:
        """Loads a SavedModel directory and makes it available; blocks until then.
        `options` is JSON: batching {enabled, max_batch_size, batch_timeout_micros,
        max_enqueued_batches, num_batch_threads, allowed_batch_sizes (list),
        pad_variable_length_inputs, enable_large_batch_splitting,
        max_execution_batch_size}, null where it is for the engine to choose; warmup
        {enabled, iterations, failing ("refuse" or "warn"), file (null: the version's own)};
        logging (null: none) {prefix, format ("tfrecord" or "jsonl"), sampling_rate (0 to 1),
        max_file_bytes, max_file_age (null: any), max_files (0: any), max_total_bytes (0:
        any), flush_interval, queue_records, queue_bytes, saved_model_tags}; seconds.

        A version of that number that is available answers until the new one takes its
        place, all at once; it is answered, to be freed. On failure the old one stays, else
        the version's state is END with the error, which is raised in any case. Raises
        NativeError CANCELLED if the version was unloaded, removed or loaded again
        meanwhile."""

    def start(self, name: str, version: int) -> None:
        """Says that a version is wanted and not loading yet: its state is START. Nothing if
        it is there already and has not ended."""

    def fail(self, name: str, version: int, code: str, message: str) -> None:
        """Sets a version's state to END with this error, unless it is available. The last
        ten versions of a model to end are kept, those before are forgotten."""

    def unload(self, name: str, version: int) -> bool:
        """Takes a version out of service, whatever its state, waits for its last request, or
        for a load of it that is under way, and frees it. False: there was none, it had
        ended, or another thread is unloading it."""

    def forget(self, name: str, version: int) -> bool:
        """Drops what is known of a version that has ended. False: there was none, or it has
        not ended."""

    def remove(self, name: str, still_wanted: bool) -> Retired | None:
        """Drops all that is known of a model, and answers it, to be freed; None: there was
        none. `still_wanted`: another of this name is to come, and health goes on waiting for
        it; else there is none of this name from now on."""

    def set_labels(self, name: str, labels: dict[str, int]) -> None:
        """Gives a model these labels of versions and no others, all at once. Versions that
        are not there may be named; requests are then told that there is none.

        Raises NativeError NOT_FOUND if no model of this name was declared or loaded."""

    def stop_warmups(self) -> None:
        """Ends warm-ups under way and to come: their loads fail with CANCELLED."""

    def finish_logs(self, timeout: float) -> bool:
        """Writes what is kept of requests and finishes the files; False: that took longer
        than `timeout` seconds. A request that is answered later begins another file."""

    def models(self) -> list[str]:
        """The names of all models, sorted."""

    def status(self, name: str) -> list[StatusTuple]:
        """A model's versions, newest first."""

    def signatures(self, name: str, version: int | None) -> tuple[int, list[SignatureTuple]]:
        """The version meant (None: the highest available) and its signatures."""

    def costs(self, name: str, version: int | None) -> tuple[int, list[CostTuple]]:
        """The version meant (None: the highest available) and what was measured of each of
        its signatures that can be named by a request."""

    def predict(
        self,
        name: str,
        version: int | None,
        signature: str,
        inputs: Sequence[WireTensor],
        outputs: Sequence[str],
        timeout: float | None,
    ) -> tuple[int, list[WireTensor]]:
        """Runs in the calling thread; answers the version and the outputs asked for
        (none named: all)."""

    def predict_text(self, name: str | None, text: str) -> str:
        """As the text service answers it; name None: the only model there is.
        Raises NativeError where the service would set error_message."""

@final
class Retired:
    """What no further request finds. If it is not freed, its last request frees it, and
    pays for that."""

    def free(self) -> None:
        """Waits for its last request, and frees it. Nothing if it was freed.

        Raises NativeError RESOURCE_EXHAUSTED if there is no thread for that now."""

@final
class Server:
    """The listener over an engine. Listens from the moment it is made."""

    def __new__(cls, engine: Engine, options: str) -> Server:
        """`options` is JSON: listeners (a list of {kind "tcp", host, port (0: any free
        one), protocols ("all" or "rest"), tls, optional (bool: the server goes on without
        it)} and {kind "unix", path, tls}, tls null or as `renew_tls` takes it), connections
        {max_connections, max_concurrent_streams, and in seconds or null max_connection_age,
        max_connection_age_grace, max_connection_idle, keepalive_time, keepalive_timeout},
        io_threads (0: one a core), max_message_bytes, tensor_content (bool), rest {timeout
        (seconds or null), cors (bool)}, default_model (string or null), control
        ("nothing", "reload" or "everything": what callers may do to the models).

        Raises NativeError UNAVAILABLE if a place can't be listened on or its certificate
        can't be used.
        """

    @property
    def ports(self) -> list[int]:
        """The port of each TCP listener, in the order of the options; 0: an optional one that
        could not be had."""

    def renew_tls(self, options: str) -> None:
        """Greets the connections to come with another certificate, wherever there is TLS.
        `options` is JSON: certificate, key, client_ca (or null), each {text, source}: PEM
        text, and its name in messages; require_client (bool).

        Raises NativeError INVALID_ARGUMENT, and keeps the present one, if it can't be used.
        """

    def next_command(self, timeout: float) -> Command | None:
        """The next request to change the models, waited for up to `timeout` seconds. None if
        there is none by then; at once if callers may not change them, and from the stop
        on. May be called from several threads."""

    def stop(self, grace: float) -> bool:
        """Turns health to NOT_SERVING, stops accepting, finishes what is in flight for
        up to `grace` seconds, then closes. True: nothing was cut off. Calling it again,
        from any thread, waits for the same end."""

@final
class Command:
    """A request to change the models, or to see which there are, that waits for its answer.
    Dropped, it answers UNAVAILABLE. Its caller may have gone; it is to be done all the
    same."""

    @property
    def method(self) -> str:
        """Full name, such as "tensorwire.ModelRepository/ListModels" or
        "tensorflow.serving.ModelService/HandleReloadConfigRequest"."""

    @property
    def is_json(self) -> bool:
        """Whether request and reply are JSON, by protobuf's mapping; else encoded messages."""

    @property
    def payload(self) -> bytes:
        """The request, not looked at yet: it may be anything. Raises NativeError
        FAILED_PRECONDITION once the command is answered."""

    def answer(self, payload: bytes) -> None:
        """Answers with the reply. Raises NativeError FAILED_PRECONDITION if it was answered
        before."""

    def fail(self, code: str, message: str) -> None:
        """Answers with an error of this code, such as "NOT_FOUND". Raises as `answer`."""

@final
class Request:
    """A request, encoded once; it can be sent any number of times."""

    @staticmethod
    def predict(
        model: str,
        version: int | None,
        label: str | None,
        signature: str,
        inputs: Sequence[WireTensor],
        outputs: Sequence[str],
    ) -> Request:
        """PredictionService/Predict. Reply: (version, or None if the server doesn't say;
        list of WireTensor)."""

    @staticmethod
    def arrays(
        model: object, version: object, signature: object, inputs: object, outputs: object
    ) -> Request | None:
        """PredictionService/Predict of the common case, in one step: a dict of str to numpy
        arrays in C order and native bytes, of float32, float64, bool or an integer type;
        `outputs` None or a list or tuple of str, `version` None or an int. None: something
        is not of that kind, or wrong. Reply: a dict of the outputs wanted in their order, or
        of all by name; arrays of their own memory, and a WireTensor for an output of
        another type."""

    @property
    def message(self) -> bytes:
        """The message, encoded."""

    @staticmethod
    def encoded(method: str, message: bytes) -> Request:
        """A message that was encoded before, for a method of PredictionService. Reply: as for
        `predict` for "Predict"; for "Classify", "Regress" and "MultiInference" the reply's
        encoded message.

        Raises NativeError INVALID_ARGUMENT for another method.
        """

    @staticmethod
    def metadata(model: str, version: int | None, label: str | None) -> Request:
        """PredictionService/GetModelMetadata. Reply: (version, or None if the server
        doesn't say; list of SignatureTuple)."""

    @staticmethod
    def status(model: str, version: int | None, label: str | None) -> Request:
        """ModelService/GetModelStatus. Reply: list of StatusTuple, newest first."""

    @staticmethod
    def text(text: str, model: str | None) -> Request:
        """The text service's Predict. Reply: (prediction, error_message)."""

    @staticmethod
    def health(service: str) -> Request:
        """Health/Check. Reply: "SERVING", "NOT_SERVING", "UNKNOWN" or "SERVICE_UNKNOWN"."""

    @staticmethod
    def model_repository(method: str, message: bytes) -> Request:
        """A method of tensorwire.ModelRepository, such as "ListModels", with its encoded
        message. Reply: the encoded message (bytes)."""

    @staticmethod
    def health_list() -> Request:
        """Health/List. Reply: dict of service to status."""

@final
class Call:
    """A request under way, started by `Inbox.start`."""

    def cancel(self) -> None:
        """Gives it up; the server is told."""

@final
class Inbox:
    """Calls of one event loop and their answers. Only the loop's thread may use it."""

    def __new__(cls) -> Inbox: ...
    def fileno(self) -> int:
        """A socket that becomes readable when there are answers: the loop is to call
        `deliver` then."""

    def start(
        self,
        event_loop: asyncio.AbstractEventLoop,
        channel: Channel,
        request: Request,
        timeout: float | None,
        metadata: Sequence[tuple[str, str | bytes]],
        wait_for_ready: bool,
    ) -> tuple[asyncio.Future[Any], Call]:
        """Begins a call as `Channel.call` makes it, and answers the future for its reply.
        Calls that begin in the same turn of the loop are sent together at its end."""

    def flush(self) -> None:
        """Sends what has begun; `start` has the loop call it."""

    def deliver(self) -> None:
        """Gives the futures the answers that have come."""

@final
class Channel:
    """Connections to one or more servers; may be used from any thread, and in a child of
    `fork`, which makes connections of its own. A thread that is in a call when the
    interpreter ends never comes back from it, as with Python's own waits."""

    def __new__(cls, addresses: Sequence[str], options: str) -> Channel:
        """Connects when first used. `options` is JSON: connect_timeout, keepalive_time
        (null: no pings), keepalive_timeout (seconds), retries (attempts after the first),
        retry_initial_backoff, retry_max_backoff (seconds), max_message_bytes,
        user_agent, tls (null: none; else {ca, certificate, key: {text, source} or null,
        server_name}).

        Raises NativeError INVALID_ARGUMENT for an address that can't be parsed and for a
        certificate that can't be used.
        """

    def call(
        self,
        request: Request,
        timeout: float | None,
        metadata: Sequence[tuple[str, str | bytes]],
        wait_for_ready: bool,
    ) -> Any:
        """Sends and waits. Retries UNAVAILABLE on the next address, with backoff,
        within `timeout` seconds (None: no limit)."""

    def close(self) -> None:
        """Ends calls under way with CANCELLED and closes the connections."""

@final
class LoadTest:
    """One request sent again and again, by threads of its own, over connections of its own.
    Ends with its last reference at the latest."""

    def __new__(
        cls,
        addresses: Sequence[str],
        options: str,
        request: Request,
        plan: str,
        metadata: Sequence[tuple[str, str | bytes]],
    ) -> LoadTest:
        """Starts it. `options` as for `Channel`. `plan` is JSON: concurrency (callers, each
        of which waits for its answer) or rate (requests a second, whatever becomes of them),
        the other null; arrival ("constant" or "poisson") and max_outstanding (beyond which
        requests are not sent, but counted), for a rate; warmup (seconds that are not
        measured), duration (seconds) and requests (how many), one of which may be null;
        connections; threads; timeout (seconds for each call, or null).

        Raises NativeError INVALID_ARGUMENT for a plan that can't be.
        """

    def wait(self, seconds: float) -> bool:
        """Waits for its end, no longer than `seconds`. True: it has ended."""

    def report(self) -> str:
        """Its figures so far, as JSON: an object with stage ("connecting", "warming_up",
        "measuring", "finishing" or "ended"), seconds, counts of requests (sent, answered,
        failed, outstanding, unsent_outstanding, unsent_late), bytes_sent, bytes_received,
        latency_ms (from when a request was due), histogram, errors, phases_ms (the
        server's own, if it told them), generator and recent (since the last report)."""

    def stop(self) -> None:
        """Sends no more; what is under way is still waited for."""

    def cancel(self) -> None:
        """Gives up what is under way too."""

@final
class RecordReader:
    """The records of a TFRecord file, in order."""

    def __new__(cls, path: str) -> RecordReader:
        """Raises NativeError FAILED_PRECONDITION if the file can't be opened."""

    def __iter__(self) -> RecordReader: ...
    def __next__(self) -> bytes:
        """Raises NativeError DATA_LOSS for a record that is damaged or cut short, after which
        there are no more."""

def frame_record(record: bytes) -> bytes:
    """A record as it stands in a TFRecord file, with its length and checksums."""

def decode_predict_reply(message: bytes) -> tuple[int | None, list[WireTensor]]:
    """What `Request.predict` answers, of an encoded `tensorflow.serving.PredictResponse`.

    Raises NativeError DATA_LOSS if it is none.
    """

def build_info() -> dict[str, str]:
    """The core's version, build profile and target."""

def descriptor_set() -> bytes:
    """The definitions of all messages that cross the wire or stand in configuration files,
    as an encoded `google.protobuf.FileDescriptorSet`."""

__all__ = [
    "Call",
    "Channel",
    "Command",
    "Engine",
    "Inbox",
    "LoadTest",
    "NativeError",
    "RecordReader",
    "Request",
    "Retired",
    "Server",
    "build_info",
    "decode_predict_reply",
    "descriptor_set",
    "frame_record",
]
