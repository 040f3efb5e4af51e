//! The messages of `proto/`, generated. `Bytes` fields are views of the buffer that a
//! message is decoded from, if that buffer is a `Bytes` itself.

/// Every file of `proto/` and what they import, as an encoded
/// `google.protobuf.FileDescriptorSet`, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/tensorflow"
)]
pub mod tensorflow {
    include!(concat!(env!("OUT_DIR"), "/tensorflow.rs"));

    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated from proto/tensorflow"
    )]
    pub mod error {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.error.rs"));
    }

    // Here because the generated code finds `tensorflow`'s messages at `super`.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        reason = "generated from proto/tensorflow_serving"
    )]
    pub mod serving {
        include!(concat!(env!("OUT_DIR"), "/tensorflow.serving.rs"));
    }
}
pub use tensorflow::serving;

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/tensorwire"
)]
pub mod tensorwire {
    include!(concat!(env!("OUT_DIR"), "/tensorwire.rs"));
}

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/prediction_service.proto"
)]
pub mod prediction_service {
    include!(concat!(env!("OUT_DIR"), "/prediction_service.rs"));
}

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/grpc/health.proto"
)]
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/grpc/reflection_v1.proto"
)]
pub mod reflection_v1 {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated from proto/grpc/reflection_v1alpha.proto"
)]
pub mod reflection_v1alpha {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1alpha.rs"));
}
