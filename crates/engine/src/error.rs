//! The one error type of the serving path. Each protocol maps [`Kind`] to its own
//! statuses in one table of its own; nothing here knows a protocol.

use std::borrow::Cow;
use std::time::Duration;

/// What went wrong, by gRPC's and TensorFlow's common list of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The caller gave up.
    Cancelled,
    /// An error that nobody classified.
    Unknown,
    /// The request is wrong whatever the state of the server.
    InvalidArgument,
    /// The deadline passed.
    DeadlineExceeded,
    /// No such model or version.
    NotFound,
    /// What should be made is there.
    AlreadyExists,
    /// Known caller, forbidden.
    PermissionDenied,
    /// Over a limit of the server.
    ResourceExhausted,
    /// Right request, but not for this model in this state.
    FailedPrecondition,
    /// Interrupted by something concurrent.
    Aborted,
    /// Past the end.
    OutOfRange,
    /// Not offered.
    Unimplemented,
    /// Our fault.
    Internal,
    /// Another replica, or a later try, could answer.
    Unavailable,
    /// Stored data is broken.
    DataLoss,
    /// No valid credentials.
    Unauthenticated,
}

impl Kind {
    /// The kinds in the order of their codes, which gRPC and TensorFlow share: the
    /// code of `IN_CODE_ORDER[i]` is `i + 1`.
    const IN_CODE_ORDER: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The kind for a TensorFlow or gRPC code, 1 to 16; [`Kind::Unknown`] for others.
    pub fn from_code(code: i32) -> Self {
        usize::try_from(code)
            .ok()
            .and_then(|code| code.checked_sub(1))
            .and_then(|index| Self::IN_CODE_ORDER.get(index))
            .copied()
            .unwrap_or(Self::Unknown)
    }

    /// The code that gRPC and TensorFlow give it, 1 to 16.
    pub fn code(self) -> i32 {
        self as i32 + 1
    }

    /// gRPC's own spelling, `INVALID_ARGUMENT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

/// An error with its kind and one clear sentence for whoever called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ServeError {
    kind: Kind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {$(
        #[doc = concat!("An error of kind [`Kind::", stringify!($kind), "`].")]
        pub fn $name(message: impl Into<Cow<'static, str>>) -> Self {
            Self::new(Kind::$kind, message)
        }
    )*};
}

impl ServeError {
    /// An error of this kind.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The same error with a hint when another try could go well.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        Self {
            retry_after: Some(delay),
            ..self
        }
    }

    constructors! {
        invalid_argument => InvalidArgument,
        not_found => NotFound,
        failed_precondition => FailedPrecondition,
        resource_exhausted => ResourceExhausted,
        deadline_exceeded => DeadlineExceeded,
        unavailable => Unavailable,
        unimplemented => Unimplemented,
        internal => Internal,
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// When another try could go well, if that is known.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The sentence, in full; protocols cut it to their own limit.
    pub fn message(&self) -> &str {
        &self.message
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn codes_and_kinds_are_one_to_one() {
        for code in 1..=16 {
            assert_eq!(Kind::from_code(code).code(), code);
        }
        assert_eq!(Kind::InvalidArgument.code(), 3);
        assert_eq!(Kind::Unauthenticated.code(), 16);
        for code in [-1, 0, 17, i32::MAX] {
            assert_eq!(Kind::from_code(code), Kind::Unknown);
        }
    }
}
