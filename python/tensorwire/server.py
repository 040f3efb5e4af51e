"""A server in this process, started and stopped by who makes it; `running` has what runs one
until the process is told to stop.

The order of a start: the engine opens TensorFlow, every model is declared (health waits
for it), the listener opens (and fails here if the port is taken), the models load.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from . import _core
from .config import ServeConfig, load_config, parse_grace
from .config.lifecycle import LifecycleConfig
from .errors import ConfigError, ModelLoadError, NotFoundError, TensorWireError
from .model import open_engine, read_metadata
from .places import Place, places
from .repository.change import describe_failures
from .repository.config_watch import ModelsFile
from .repository.control import Control
from .repository.keras_export import KerasExporter
from .repository.managed_model import Outcome
from .repository.model_config import ModelConfig
from .repository.naming import Models, name_models
from .repository.reconciler import Reconciler
from .repository.repository import Repository
from .repository.server_config import parse_server_config
from .repository.toml_models import TomlModels
from .served_models import ServedModels
from .signature import Signature
from .tls_renewal import TlsRenewal

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .config import Settings

_log = logging.getLogger("tensorwire.server")

LOG_LIMIT_SECONDS = 5.0
"""How long a stop waits for what is kept of requests to be on the disk."""


class Server(ServedModels):
    """Serves models over gRPC and REST from this process.

    `models`: a path (a directory of numeric versions, a SavedModel directory, a .keras or
    .h5 file), several paths, or a mapping of names to paths. The keyword arguments are
    those of `Settings`; what is left out comes from the environment (`TENSORWIRE_PORT`
    and so on), else from the defaults.

        with tensorwire.Server({"mnist": "./models/mnist"}, port=0) as server:
            print(server.address)

    Raises ConfigError for a setting or a name that can't be used. All methods may be
    called from any thread.
    """

    def __init__(self, models: Models | None = None, **settings: Unpack[Settings]) -> None:
        config = load_config(settings)
        if models is None and not config.lifecycle.has_file:
            raise ConfigError("no model was given: name at least one path")
        self._setup([] if models is None else name_models(models), config)

    @classmethod
    def from_config(cls, models: list[ModelConfig], config: ServeConfig) -> Server:
        """One of models named before and a configuration filled before."""
        server = cls.__new__(cls)
        server._setup(models, config)
        return server

    def _setup(self, models: list[ModelConfig], config: ServeConfig) -> None:
        self.config = config
        """What it was told."""
        self._repository = Repository(models, config.lifecycle, _followed_file(config.lifecycle))
        if not self._repository.is_followed:
            self._check_names([model.name for model in models])
        self.config.request_logs.check_folders([each.name for each in self._repository.first])
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stopped = threading.Event()
        self._ending = threading.Lock()
        self._end = math.inf
        """When the grace is over, on the monotonic clock: one for all calls of `stop`."""

        self._engine: _core.Engine | None = None
        self._listener: _core.Server | None = None
        self._reconciler: Reconciler | None = None
        self._renewal: TlsRenewal | None = None
        self._control: Control | None = None
        self._outcomes: list[Outcome] = []
        self._complete = True

    def start(self) -> Server:
        """Listens and loads the models; returns once each of them is served or has failed.

        Raises TensorFlowMissingError without a TensorFlow that can be used,
        TensorWireError if the address is taken, ModelLoadError if none of the models given
        here could be loaded, or with `listen_when="loaded"` if one of them all could not.
        Those of a file that is followed may all fail: they are tried again, and may be
        exchanged. Models that failed are in `outcomes`.
        """
        self.listen()
        return self.load()

    def listen(self) -> None:
        """The first half of `start`: the port is open, health says NOT_SERVING."""
        with self._lock:
            if self._engine is not None:
                raise TensorWireError("this server was started before; make a new one")
            if self._stopping.is_set():
                return
            engine = open_engine(self.config.engine)
            for model in self._repository.first:
                engine.declare(model.name)
            self._engine = engine
            # All that takes time before models can load comes before the port opens.
            self._reconciler = self._reconciler_of(engine)
            if not self._listens_when_loaded:
                self._open_listener(engine)

    def load(self) -> Server:
        """The second half of `start`. If it fails, the server is stopped."""
        try:
            self._load()
        except TensorWireError:
            self.stop(0)
            raise
        return self

    def _load(self) -> None:
        engine, reconciler = self._engine, self._reconciler
        if engine is None or reconciler is None or self._stopping.is_set():
            return
        lasting = self._listens_when_loaded
        change = self._repository.start(reconciler, lasting=lasting)
        if self._stopping.is_set():
            # A stop that came meanwhile may have found nothing to stop yet.
            self._end_loads(self._end)
        change.wait()
        order = [model.name for model in self._repository.first]
        self._outcomes = [each for name in order for each in change.outcomes.get(name, ())]
        if self._stopping.is_set():
            return
        if lasting:
            self._open_when_loaded(engine)
        elif self._outcomes and not self._repository.is_followed:
            self._check_any_served()

    def stop(self, grace: float | str | None = None) -> bool:
        """Turns health to NOT_SERVING, stops accepting, finishes what is in flight for up
        to `grace` seconds (None: as configured), and closes.

        True: nothing was cut off. Calling it again waits for the same end, and for a load
        under way no longer than until the soonest of their graces is over.
        """
        try:
            seconds = self.config.grace if grace is None else parse_grace(grace)
        except ValueError as error:
            raise ConfigError(f"grace can't be {grace!r}: {error}") from None
        now = time.monotonic()
        with self._ending:
            self._end = end = min(self._end, now + seconds)
        self._stopping.set()
        if self._stopped.is_set():
            return self._complete
        # A start that is still opening TensorFlow holds the lock; then there is no listener.
        with self._lock:
            engine, listener = self._engine, self._listener
            renewal, control = self._renewal, self._control
        if engine is not None:
            engine.stop_warmups()
        if renewal is not None:
            renewal.stop()
        if control is not None:
            control.stop()
        self._repository.stop(0.0)
        if listener is not None and not listener.stop(max(0.0, end - now)):
            self._complete = False
        self._end_loads(end)
        if engine is not None and not engine.finish_logs(LOG_LIMIT_SECONDS):
            _log.warning("the request logs could not be finished: the disk is too slow")
        self._stopped.set()
        return self._complete

    def _end_loads(self, end: float) -> None:
        """Begins no more of them, and waits for those under way until `end`."""
        if not self._repository.stop(max(0.0, end - time.monotonic())):
            self._complete = False

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped, at most `timeout` seconds. True: it has."""
        return self._stopped.wait(timeout)

    @property
    def places(self) -> list[Place]:
        """Every place that it listens on, the one of `address` first."""
        if self._listener is None:
            raise TensorWireError("the server has no port yet: it was not started")
        return places(self.config.listener, self._listener.ports)

    @property
    def address(self) -> str:
        """host:port where a client on this machine reaches it, or unix:/path if it
        listens on no port."""
        return self.places[0].address

    @property
    def bound_address(self) -> str:
        """host:port that it listens on: 0.0.0.0 or [::] for every network."""
        return self.places[0].bound

    @property
    def whereabouts(self) -> str:
        """`bound_address` as people are told it: `0.0.0.0:50051 (every network)`."""
        return self.places[0].whereabouts

    @property
    def port(self) -> int:
        """The port it listens on, also where port 0 was asked for."""
        return self._port("port")

    @property
    def rest_port(self) -> int:
        """The port for REST alone, also where rest_port 0 was asked for."""
        return self._port("rest_port")

    def _port(self, kind: str) -> int:
        for place in self.places:
            if place.kind == kind and place.port is not None:
                return place.port
        raise TensorWireError(f"the server has no {kind}: it listens on {self.whereabouts}")

    @property
    def is_listening(self) -> bool:
        """Its port is open."""
        return self._listener is not None

    def signatures(self, model: str) -> dict[str, Signature]:
        """The signatures of a model's highest available version, by name.

        Raises NotFoundError if there is none.
        """
        if self._engine is None:
            raise NotFoundError("the server was not started", model=model)
        return read_metadata(self._engine, model).signatures

    @property
    def outcomes(self) -> list[Outcome]:
        """What loading came to, for each version that was wanted."""
        return list(self._outcomes)

    @property
    def stopping(self) -> bool:
        """`stop` was called."""
        return self._stopping.is_set()

    def __enter__(self) -> Server:
        """Starts it."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stops it."""
        self.stop()

    @property
    def _listens_when_loaded(self) -> bool:
        return self.config.lifecycle.listen_when == "loaded"

    def _check_names(self, names: list[str]) -> None:
        """What the settings say of single models is of ones that are served."""
        default = self.config.listener.default_model
        if default is not None and default not in names:
            raise ConfigError(
                f"default_model can't be {default!r}: the models served are {', '.join(names)}"
            )
        self.config.batches.check_models(names)
        self.config.request_logs.check_models(names)

    def _open_listener(self, engine: _core.Engine) -> None:
        renewal = TlsRenewal(self.config.listener.tls)
        try:
            self._listener = _core.Server(engine, self.config.listener.to_native())
        except _core.NativeError as error:
            raise TensorWireError(str(error.args[1])) from error
        self._renewal = renewal
        renewal.start(self._listener)
        if self.config.listener.permitted != "nothing":
            self._control = Control(self._listener.next_command, self._repository, self._status)
            self._control.start()
        for place in self.places:
            fields = {"address": place.bound}
            _log.info("listening on %s", place.whereabouts, extra={"fields": fields})

    def _reconciler_of(self, engine: _core.Engine) -> Reconciler:
        cache = self.config.stores.open_cache()
        return Reconciler(
            engine,
            KerasExporter(engine.tensorflow_version, others_serve=self._serves_any),
            self._version_options,
            self.config.lifecycle,
            open_source=lambda model: model.open(cache),
        )

    def _serves_any(self) -> bool:
        return any(status.available for status in self.models.values())

    def _version_options(self, model: ModelConfig, folder: Path) -> str:
        return self.config.version_options(model.name, folder, model.batching, model.options)

    def _open_when_loaded(self, engine: _core.Engine) -> None:
        served = {each.model.name for each in self._outcomes if each.error is None}
        failed = [each for each in self._outcomes if each.model.name not in served]
        if failed:
            raise ModelLoadError(describe_failures("servable", failed))
        with self._lock:
            if not self._stopping.is_set():
                self._open_listener(engine)

    def _check_any_served(self) -> None:
        if all(each.error for each in self._outcomes):
            raise ModelLoadError(_nothing_to_serve(self._outcomes))


def _followed_file(lifecycle: LifecycleConfig) -> ModelsFile | None:
    """The file that lists the models, or may come to, if there is one."""
    toml, file = lifecycle.config, lifecycle.model_config_file
    listed = None if toml is None else TomlModels(toml)
    if file is None:
        if toml is None or listed is None:
            return None
        return ModelsFile(toml, listed.parse, may_list_none=True)
    if listed is not None and listed():
        raise ConfigError(
            f"models are listed in {toml} and in {file}: say all of them in one of the two"
        )
    return ModelsFile(file, functools.partial(parse_server_config, file))


def _nothing_to_serve(outcomes: list[Outcome]) -> str:
    reasons = [f"{each.model.name}: {each.error}" for each in outcomes]
    if len(reasons) == 1:
        return f"the model can't be served: {reasons[0]}"
    return f"none of the {len(reasons)} models can be served: {'; '.join(reasons)}"
