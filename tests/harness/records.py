"""Recorded requests, read and written by TensorFlow itself."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

PredictionLog = prediction_log_pb2.PredictionLog


def read_logs(*files: Path) -> list[PredictionLog]:
    """The records of these files, in order, by TensorFlow's own reader."""
    paths = [str(file) for file in files]
    found = tf.data.TFRecordDataset(paths).as_numpy_iterator()
    return [PredictionLog.FromString(record) for record in found]


def write_logs(file: Path, logs: Iterable[PredictionLog]) -> Path:
    """A file of these records, with the folder it is in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return file


def predict_logs(requests: Sequence[predict_pb2.PredictRequest]) -> list[PredictionLog]:
    """A record of each request, without a reply."""
    return [
        PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        for request in requests
    ]


def whole_files(folder: Path, extension: str = "tfrecord") -> list[Path]:
    """The finished files of a log, oldest first."""
    return sorted(folder.glob(f"*.{extension}"))
