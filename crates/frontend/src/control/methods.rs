//! The methods that the control plane answers.

/// TensorFlow Serving's own.
pub(super) const RELOAD_CONFIG: &str = "tensorflow.serving.ModelService/HandleReloadConfigRequest";

/// Full names of the methods.
const METHODS: [&str; 6] = [
    RELOAD_CONFIG,
    "tensorwire.ModelRepository/ListModels",
    "tensorwire.ModelRepository/LoadModel",
    "tensorwire.ModelRepository/UnloadModel",
    "tensorwire.ModelRepository/ReloadModel",
    "tensorwire.ModelRepository/GetConfig",
];

/// The method at a request's path, if it is one of the control plane's.
pub(crate) fn method_at(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix('/')?;
    METHODS.into_iter().find(|method| *method == name)
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use wire::proto::FILE_DESCRIPTOR_SET;

    use super::{METHODS, method_at};

    #[test]
    fn paths_are_of_methods_that_there_are() {
        let known = "/tensorwire.ModelRepository/ListModels";
        assert_eq!(method_at(known), Some(&known[1..]));
        for other in ["", "/", "tensorwire.ModelRepository/ListModels"] {
            assert_eq!(method_at(other), None);
        }
        assert_eq!(method_at("/tensorwire.ModelRepository/listmodels"), None);
    }

    #[test]
    fn the_repository_has_these_methods_and_no_others() {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let services = set.file.iter().flat_map(|file| &file.service);
        let ours = services.clone().find(|it| it.name() == "ModelRepository");
        let declared = ours.unwrap().method.iter();
        let declared = declared.map(|it| format!("tensorwire.ModelRepository/{}", it.name()));
        let ours = METHODS.iter().filter(|it| it.starts_with("tensorwire."));
        assert!(declared.eq(ours.copied()));
    }
}
