//! What callers ask a registry for, and what they are told of a version.

use crate::ServeError;

/// A version's state; numbers and names are TensorFlow Serving's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Known, not yet loading.
    Start = 10,
    /// Being loaded.
    Loading = 20,
    /// Answering requests.
    Available = 30,
    /// Finishing its requests, or a load that is no longer wanted.
    Unloading = 40,
    /// Gone, or never came to be.
    End = 50,
}

/// One version's state as a client sees it.
#[derive(Clone, Debug)]
pub struct VersionStatus {
    /// The version's number.
    pub version: i64,
    /// Where it stands.
    pub state: State,
    /// Why it ended, if an error ended it.
    pub error: Option<ServeError>,
}

/// Which version a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'a> {
    /// The highest that is available.
    Latest,
    /// This one.
    Number(i64),
    /// The one that carries this label.
    Label(&'a str),
}

/// Which model a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelSelector<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The version.
    pub version: Version<'a>,
}
