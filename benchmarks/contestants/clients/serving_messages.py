"""Requests and replies of tensorflow-serving-api, made in two ways: with TensorFlow's
helpers, as its tutorials do, and without them."""

import numpy as np
from laps import Task
from tensorflow_serving.apis import predict_pb2

FLOAT = 1
# A proxy from the environment must not stand between a client and its own machine;
# grpcio's own limit is 4 MiB a message.
CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


class Helped:
    """By tf.make_tensor_proto and tf.make_ndarray."""

    def __init__(self, task: Task) -> None:
        # Here, since the other way needs nothing of TensorFlow's but its messages.
        import tensorflow

        self._tensorflow = tensorflow
        self._task = task

    def request(self) -> predict_pb2.PredictRequest:
        """A request for the task's array."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._task.model
        request.model_spec.signature_name = "serving_default"
        tensor = self._tensorflow.make_tensor_proto(self._task.array)
        request.inputs[self._task.input_name].CopyFrom(tensor)
        return request

    def output(self, reply: predict_pb2.PredictResponse) -> np.ndarray:
        """The output's array."""
        return self._tensorflow.make_ndarray(reply.outputs[self._task.output_name])


class Bare:
    """By the messages' fields and numpy alone: the least that Python can do."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def request(self) -> predict_pb2.PredictRequest:
        """A request for the task's array."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._task.model
        request.model_spec.signature_name = "serving_default"
        tensor = request.inputs[self._task.input_name]
        tensor.dtype = FLOAT
        for size in self._task.array.shape:
            tensor.tensor_shape.dim.add().size = size
        tensor.tensor_content = self._task.array.tobytes()
        return request

    def output(self, reply: predict_pb2.PredictResponse) -> np.ndarray:
        """The output's array, in whichever form it came."""
        tensor = reply.outputs[self._task.output_name]
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.tensor_content:
            flat = np.frombuffer(tensor.tensor_content, np.float32)
        else:
            flat = np.array(tensor.float_val, np.float32)
        return flat.reshape(shape)
