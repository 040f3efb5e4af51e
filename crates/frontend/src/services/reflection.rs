//! `grpc.reflection`, v1 and v1alpha: tonic's implementation over our descriptors.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;

use http::{Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic_reflection::pb;
use tonic_reflection::server::{Builder, Error};
use tower_service::Service;

use crate::grpc::ReplyBody;

type Answer = Pin<Box<dyn Future<Output = Response<Body>>>>;
type Answerer = Box<dyn Fn(Request<Incoming>) -> Answer + Send + Sync>;

/// Both versions of the service.
pub(crate) struct Reflection {
    v1: Answerer,
    v1alpha: Answerer,
}

impl Reflection {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            v1: answerer(builder().build_v1()?),
            v1alpha: answerer(builder().build_v1alpha()?),
        })
    }

    /// Answers a request for either version.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let answerer = if request
            .uri()
            .path()
            .starts_with("/grpc.reflection.v1alpha.")
        {
            &self.v1alpha
        } else {
            &self.v1
        };
        answerer(request).await.map(ReplyBody::Tonic)
    }
}

/// Each version describes the other too, so that a client sees the same list by both.
fn builder() -> Builder<'static> {
    Builder::configure()
        .include_reflection_service(false)
        .register_encoded_file_descriptor_set(wire::proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(pb::v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(pb::v1alpha::FILE_DESCRIPTOR_SET)
}

fn answerer<S>(service: S) -> Answerer
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: 'static,
{
    Box::new(move |request| {
        let mut service = service.clone();
        Box::pin(async move {
            match service.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    })
}
