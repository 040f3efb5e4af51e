//! The one error type of the client: gRPC's code, one sentence, and the server it
//! came from.

use crate::code::Code;

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct ClientError {
    code: Code,
    message: String,
    address: String,
}

impl ClientError {
    /// An error that arose in this process, before any server was asked.
    pub(crate) fn local(code: Code, message: impl Into<String>) -> Self {
        Self::at(code, message, "")
    }

    /// An error of a call to the server at `address`.
    pub(crate) fn at(code: Code, message: impl Into<String>, address: &str) -> Self {
        Self {
            code,
            message: message.into(),
            address: address.to_owned(),
        }
    }

    /// What went wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The server's address; empty if none was asked.
    pub fn address(&self) -> &str {
        &self.address
    }
}
