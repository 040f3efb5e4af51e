# ruff: noqa
# A client of the text service as its existing users have it; it must work unchanged.
import grpc
import prediction_service_pb2
import prediction_service_pb2_grpc


def predict(input_data):
    with grpc.insecure_channel("localhost:50051") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(prediction_service_pb2.PredictionRequest(input_data=input_data))
        if response.error_message:
            print(f"Error: {response.error_message}")
        else:
            print(f"Prediction: {response.prediction}")


if __name__ == "__main__":
    input_data = "my input data"  # Replace with your input
    predict(input_data)
