"""Calls that change a server's models, or tell which it is configured to serve. Needs the
package protobuf, which comes with `tensorwire[server]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tensorwire._core import NativeError, Request
from tensorwire.errors import UnimplementedError, from_native
from tensorwire.messages import message_type, new_message

from .operations import Operation, Plan
from .settings import CallSettings
from .sync import Client


class ModelRepository:
    """The model repository of the server that a client calls. All methods raise what the
    client's methods raise; PermissionDeniedError if the server takes no such calls,
    UnimplementedError if it is none of TensorWire's."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> list[Any]:
        """The models, by name, as `tensorwire.Model` messages: their configuration and the
        states of their versions."""
        return list(self._call("ListModels", None, {}).models)

    def load(
        self,
        name: str,
        path: str,
        *,
        policy: Mapping[str, Any] | None = None,
        labels: Mapping[str, int] | None = None,
        no_wait: bool = False,
    ) -> Any:
        """Adds a model, or takes a new configuration for one that is there; answers its
        `tensorwire.Model` when it is available, or at once with `no_wait`. `path`: absolute,
        or a URL. `policy`: a `ServableVersionPolicy` as JSON has it, such as {"all": {}}."""
        config: dict[str, Any] = {
            "name": name,
            "base_path": path,
            "version_labels": dict(labels or {}),
        }
        if policy is not None:
            config["model_version_policy"] = policy
        return self._call("LoadModel", name, {"config": config, "no_wait": no_wait}).model

    def unload(self, name: str, *, no_wait: bool = False) -> None:
        """Takes a model out of service; returns when its last request is answered."""
        self._call("UnloadModel", name, {"name": name, "no_wait": no_wait})

    def reload(self, name: str, *, no_wait: bool = False) -> Any:
        """Has it look for versions now, and load those again that are there or have failed;
        answers its `tensorwire.Model`."""
        return self._call("ReloadModel", name, {"name": name, "no_wait": no_wait}).model

    def config(self) -> Any:
        """What the server is configured to serve, as a `ModelServerConfig` message."""
        return self._call("GetConfig", None, {}).config

    def _call(self, method: str, model: str | None, fields: Mapping[str, Any]) -> Any:
        from google.protobuf import json_format

        message = new_message(f"tensorwire.{method}Request")
        json_format.ParseDict(fields, message)
        try:
            reply = self._client._run(self._operation(method, model, message), model)
        except UnimplementedError as error:
            # Servers on gRPC's C core say nothing at all.
            raise UnimplementedError(
                "this server can't be asked to see or change its models (it lacks "
                f"tensorwire.ModelRepository/{method}): TensorFlow Serving follows its "
                "--model_config_file, and takes HandleReloadConfigRequest",
                target=error.target,
            ) from None
        return message_type(f"tensorwire.{method}Response").FromString(reply)

    def _operation(self, method: str, model: str | None, message: Any) -> Operation[bytes]:
        plan = Plan(self._client._settings, CallSettings(), model)
        try:
            request = Request.model_repository(method, message.SerializeToString())
        except NativeError as error:
            raise from_native(error) from error
        return bytes((yield plan.step(request)))
