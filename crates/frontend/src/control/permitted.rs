//! Which commands callers may give: whoever may have a model loaded has its graph run here,
//! and a graph can read and write files.

use engine::{Kind, ServeError};
use serde::Deserialize;

use super::methods::RELOAD_CONFIG;

/// Which commands callers may give.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Permitted {
    /// None.
    Nothing,
    /// The one that TensorFlow Serving has, over gRPC alone: what is open there is open here,
    /// and nothing more.
    Reload,
    /// Every one.
    Everything,
}

impl Permitted {
    /// Whether callers may call this method.
    pub(super) fn check(self, method: &str) -> Result<(), ServeError> {
        let reason = match self {
            Self::Everything => return Ok(()),
            Self::Reload if method == RELOAD_CONFIG => return Ok(()),
            Self::Reload => {
                "callers may change this server's models by HandleReloadConfigRequest over gRPC \
                 alone, as TensorFlow Serving lets them; start it with TENSORWIRE_REMOTE_CONTROL=on \
                 to allow more"
            }
            Self::Nothing => {
                "this server does not let its models be changed from outside; start it with \
                 --remote-control on to allow it"
            }
        };
        Err(ServeError::new(Kind::PermissionDenied, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::Permitted;
    use crate::control::methods::RELOAD_CONFIG;

    #[test]
    fn what_each_permits() {
        let load = "tensorwire.ModelRepository/LoadModel";
        for (permitted, reload, more) in [
            (Permitted::Nothing, false, false),
            (Permitted::Reload, true, false),
            (Permitted::Everything, true, true),
        ] {
            assert_eq!(permitted.check(RELOAD_CONFIG).is_ok(), reload);
            assert_eq!(permitted.check(load).is_ok(), more);
        }
    }
}
