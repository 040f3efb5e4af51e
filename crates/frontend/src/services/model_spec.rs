//! The generated `ModelSpec`, as the services other than Predict receive it.

use engine::{ModelSelector, ServeError, Version};
use wire::proto::serving::ModelSpec;
use wire::proto::serving::model_spec::VersionChoice;

/// Which model a request means; invalid if it says nothing of one.
pub(super) fn selector(spec: Option<&ModelSpec>) -> Result<ModelSelector<'_>, ServeError> {
    let spec = spec.ok_or_else(|| ServeError::invalid_argument("Missing ModelSpec"))?;
    Ok(ModelSelector {
        name: &spec.name,
        version: match &spec.version_choice {
            None => Version::Latest,
            Some(VersionChoice::Version(number)) => Version::Number(*number),
            Some(VersionChoice::VersionLabel(label)) => Version::Label(label),
        },
    })
}
