# ruff: noqa: D103, T201
# mypy: ignore-errors
"""A client made of nothing but gRPC and the .proto file, as anyone would write it.

It knows nothing of TensorWire: `text_caller` generates the two modules it imports.
Run as `text_client TARGET INPUT_DATA`.
"""

import sys

import grpc
import prediction_service_pb2
import prediction_service_pb2_grpc


def predict(target, input_data):
    with grpc.insecure_channel(target) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(prediction_service_pb2.PredictionRequest(input_data=input_data))
        if response.error_message:
            print(f"Error: {response.error_message}")
        else:
            print(f"Prediction: {response.prediction}")


if __name__ == "__main__":
    predict(sys.argv[1], sys.argv[2])
