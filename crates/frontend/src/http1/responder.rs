//! Answering one request of plain HTTP, of either version, once its model has run.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use engine::{Permit, lost};
use http::{Response, StatusCode};
use tokio::sync::oneshot;

use super::pages;
use crate::grpc::Responder;

/// A page, and what its request holds of the limits until the page has been sent.
pub(crate) struct HeldPage {
    pub(crate) page: Response<Bytes>,
    pub(crate) permit: Option<Permit>,
}

/// The right to answer one request. Dropped unanswered, as a panic does it, it answers
/// 500.
#[allow(dead_code, reason = "the REST services make it")]
pub(crate) struct HttpResponder(Option<Way>);

#[allow(dead_code, reason = "the REST services make it")]
enum Way {
    Http2(Responder),
    /// To the task of the connection, which waits for it.
    Http1(oneshot::Sender<HeldPage>),
}

#[allow(dead_code, reason = "the REST services make it")]
impl HttpResponder {
    /// For a request over HTTP/2.
    pub(crate) fn http2(responder: Responder) -> Self {
        Self(Some(Way::Http2(responder)))
    }

    /// For a request over HTTP/1.1: the receiver gets the page, whatever happens, and is
    /// dropped when the client goes away.
    pub(crate) fn http1() -> (Self, oneshot::Receiver<HeldPage>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(Way::Http1(sender))), receiver)
    }

    /// Whether the client has gone away or given up.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.poll_gone(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    /// Ready when the client has gone away or given up.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(Way::Http2(responder)) => responder.poll_gone(context),
            Some(Way::Http1(sender)) => sender.poll_closed(context),
            None => Poll::Ready(()),
        }
    }

    /// Answers. A client that has gone away is no error.
    pub(crate) fn send(mut self, page: Response<Bytes>, permit: Option<Permit>) {
        self.answer(HeldPage { page, permit });
    }

    fn answer(&mut self, held: HeldPage) {
        match self.0.take() {
            Some(Way::Http2(responder)) => responder.show_held(held.page, held.permit),
            Some(Way::Http1(sender)) => drop(sender.send(held)),
            None => {}
        }
    }
}

impl Drop for HttpResponder {
    fn drop(&mut self) {
        if self.0.is_some() {
            let page = pages::failure(StatusCode::INTERNAL_SERVER_ERROR, lost().message());
            self.answer(HeldPage { page, permit: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};

    use super::HttpResponder;

    #[test]
    fn dropped_unanswered_it_still_answers() {
        let (responder, mut page) = HttpResponder::http1();
        drop(responder);
        let held = page.try_recv().unwrap();
        assert_eq!(held.page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(held.page.body().starts_with(b"{\"error\":"));
    }

    #[test]
    fn knows_that_nobody_waits() {
        let (mut responder, page) = HttpResponder::http1();
        assert!(!responder.is_gone());
        drop(page);
        assert!(responder.is_gone());
        responder.send(Response::default(), None);
    }
}
