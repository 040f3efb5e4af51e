//! One file a service: what each does with a message.

pub(crate) mod inference;
pub(crate) mod recording;

pub(crate) mod predict;
pub(crate) mod text;

pub(crate) mod classify;
pub(crate) mod example_request;
pub(crate) mod multi_inference;
pub(crate) mod regress;
mod together;

mod model_spec;

pub(crate) mod metadata;
pub(crate) mod model_status;

mod descriptors;
pub(crate) mod health;
pub(crate) mod reflection;

/// Every service that routes lead to, as health and reflection list them.
const SERVICES: [&str; 7] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "prediction_service.PredictionService",
    "tensorflow.serving.ModelService",
    "tensorflow.serving.PredictionService",
    "tensorwire.ModelRepository",
];
