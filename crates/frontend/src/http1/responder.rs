//! Answering one request of plain HTTP, of either version, once its model has run.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use engine::{Kind, Permit, ServeError, lost};
use http::Response;
use tokio::sync::oneshot;

use crate::rest::status;
use crate::shared_stream::SharedStream;

/// A page, and what its request holds of the limits until the page has been sent.
pub(crate) struct HeldPage {
    pub(crate) page: Response<Bytes>,
    pub(crate) permit: Option<Permit>,
}

impl HeldPage {
    /// A page whose request holds nothing.
    pub(crate) fn free(page: Response<Bytes>) -> Self {
        Self { page, permit: None }
    }
}

/// The right to answer one request. Dropped unanswered, as a panic does it, it answers
/// 500; 499 if the client has gone away.
pub(crate) struct HttpResponder {
    page: Option<oneshot::Sender<HeldPage>>,
    socket: Option<SharedStream>,
    /// Looks at the socket; made when somebody waits for that.
    watch: Option<Pin<Box<dyn Future<Output = ()>>>>,
    gone: bool,
}

impl HttpResponder {
    /// The receiver gets the page, whatever happens; whoever drops it says that the client
    /// has gone away. If `socket` is given, the client also has when it closed its side.
    pub(crate) fn new(socket: Option<SharedStream>) -> (Self, oneshot::Receiver<HeldPage>) {
        let (sender, receiver) = oneshot::channel();
        let responder = Self {
            page: Some(sender),
            socket,
            watch: None,
            gone: false,
        };
        (responder, receiver)
    }

    /// Whether nobody waits for the page any more.
    pub(crate) fn is_gone(&mut self) -> bool {
        self.gone || self.page.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Ready when the client has gone away or given up.
    pub(crate) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(page) = &mut self.page else {
            return Poll::Ready(());
        };
        if page.poll_closed(context).is_ready() {
            return Poll::Ready(());
        }
        if let Some(socket) = self.socket.take() {
            self.watch = Some(Box::pin(async move { socket.closed_by_peer().await }));
        }
        let Some(watch) = &mut self.watch else {
            return Poll::Pending;
        };
        let seen = watch.as_mut().poll(context);
        self.gone = seen.is_ready();
        seen
    }

    /// Answers. A client that has gone away is no error.
    pub(crate) fn send(mut self, page: Response<Bytes>, permit: Option<Permit>) {
        self.answer(HeldPage { page, permit });
    }

    fn answer(&mut self, held: HeldPage) {
        if let Some(page) = self.page.take() {
            // An error means that nobody waits.
            let _ = page.send(held);
        }
    }
}

impl Drop for HttpResponder {
    fn drop(&mut self) {
        if self.page.is_some() {
            let error = if self.gone {
                let message = "the client closed the connection before it had its answer";
                ServeError::new(Kind::Cancelled, message)
            } else {
                lost()
            };
            self.answer(HeldPage::free(status::failure(&error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Response, StatusCode};

    use super::HttpResponder;

    #[test]
    fn dropped_unanswered_it_still_answers() {
        let (responder, mut page) = HttpResponder::new(None);
        drop(responder);
        let held = page.try_recv().unwrap();
        assert_eq!(held.page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(held.page.body().starts_with(b"{\"error\":"));
    }

    #[test]
    fn knows_that_nobody_waits() {
        let (mut responder, page) = HttpResponder::new(None);
        assert!(!responder.is_gone());
        drop(page);
        assert!(responder.is_gone());
        responder.send(Response::default(), None);
    }
}
