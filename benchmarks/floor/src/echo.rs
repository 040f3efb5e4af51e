//! The reply: the request's bytes as they came; then, over HTTP/2, the trailers that end a
//! gRPC call.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Reads one request to its end and sends it back; an error is the connection's own.
pub(crate) async fn echo(request: Request<Incoming>) -> Result<Response<Echo>, hyper::Error> {
    let message = read(request.into_body()).await?;
    let mut response = Response::new(message);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    Ok(response)
}

/// The same for a request of plain HTTP/1.1, whose reply is its body and nothing more.
pub(crate) async fn echo_plain(
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    // What fits in one read comes as one part, which is not copied.
    let body = request.into_body().collect().await?.to_bytes();
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

/// All of the body, each part as it came: none is copied.
async fn read(mut body: Incoming) -> Result<Echo, hyper::Error> {
    let mut first = None;
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if first.is_none() => first = Some(data),
            Ok(data) => rest.push(data),
            Err(_trailers) => {}
        }
    }
    Ok(Echo {
        next: first,
        rest: rest.into_iter(),
        is_done: false,
    })
}

/// What is still to be sent of a reply: the message, then the trailers.
#[derive(Debug)]
pub(crate) struct Echo {
    next: Option<Bytes>,
    rest: std::vec::IntoIter<Bytes>,
    is_done: bool,
}

impl Body for Echo {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.next.take() {
            self.next = self.rest.next();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if std::mem::replace(&mut self.is_done, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}
