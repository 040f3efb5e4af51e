"""A client that knows nothing of TensorWire: gRPC and the .proto file are enough, in
any language that gRPC has. First generate the two modules that it imports:

    python -m grpc_tools.protoc -Iproto --python_out=. --grpc_python_out=. \\
        proto/prediction_service.proto
    PYTHONPATH=. python examples/text_client.py localhost:50051 '[1.0, 2.0]'
"""

import sys

import grpc
import prediction_service_pb2
import prediction_service_pb2_grpc

target, input_data = sys.argv[1:]

with grpc.insecure_channel(target) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = prediction_service_pb2.PredictionRequest(input_data=input_data)
    # A failed prediction is told in the reply, not by the call's status.
    response = stub.Predict(request, timeout=10)
    if response.error_message:
        sys.exit(f"Error: {response.error_message}")
    print(f"Prediction: {response.prediction}")
