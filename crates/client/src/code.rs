//! gRPC's status codes.

/// What became of a call, as gRPC classifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[expect(
    missing_docs,
    reason = "gRPC's own names, which its documentation explains"
)]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

/// By their numbers, with gRPC's own spelling.
const ALL: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl Code {
    /// The code of a number; those that gRPC doesn't have are `Unknown`.
    pub fn from_i32(number: i32) -> Self {
        usize::try_from(number)
            .ok()
            .and_then(|index| ALL.get(index))
            .map_or(Self::Unknown, |(code, _)| *code)
    }

    /// The code of a `grpc-status` header.
    pub(crate) fn from_header(value: &[u8]) -> Self {
        std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(Self::Unknown, Self::from_i32)
    }
}

/// gRPC's own spelling of a code, `INVALID_ARGUMENT`.
pub fn code_name(code: Code) -> &'static str {
    ALL.get(code as usize).map_or("UNKNOWN", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{ALL, Code, code_name};

    #[test]
    fn numbers_and_names_agree() {
        for (number, (code, name)) in (0..).zip(ALL) {
            assert_eq!(Code::from_i32(number), code);
            assert_eq!(code as i32, number);
            assert_eq!(code_name(code), name);
            assert_eq!(Code::from_header(number.to_string().as_bytes()), code);
        }
    }

    #[test]
    fn others_are_unknown() {
        for number in [-1, 17, i32::MAX] {
            assert_eq!(Code::from_i32(number), Code::Unknown);
        }
        for header in [&b""[..], b"OK", b"\xff", b"99999999999"] {
            assert_eq!(Code::from_header(header), Code::Unknown);
        }
    }
}
