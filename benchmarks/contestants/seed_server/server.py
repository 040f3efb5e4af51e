"""`server.py MODEL OUTPUT`: the server that people write by hand.

It does what the seed's example does, in the same way: ten threads of grpcio, the model
called as a Python object, one request at a time, the answer as `str` of an array. What
that example leaves open is filled in as plainly as can be: the preprocessing is parsing
JSON, and the one output is taken by name. Any free port; it is printed first.
"""

import json
import sys
from concurrent import futures

import grpc
import prediction_service_pb2 as messages
import prediction_service_pb2_grpc as services
import tensorflow as tf


class PredictionServicer(services.PredictionServiceServicer):
    def __init__(self, model_path, output):
        self.model = tf.saved_model.load(model_path)
        self.output = output

    def Predict(self, request, context):
        try:
            input_tensor = tf.constant([json.loads(request.input_data)])
            prediction = self.model(input_tensor)[self.output]
            return messages.PredictionResponse(prediction=str(prediction.numpy()))
        except Exception as error:
            return messages.PredictionResponse(error_message=str(error))


def serve(model_path, output):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    servicer = PredictionServicer(model_path, output)
    services.add_PredictionServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
