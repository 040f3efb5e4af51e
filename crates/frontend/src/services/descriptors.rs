//! The descriptors of all `.proto` files that clients may ask for, found by file name
//! and by the name of anything that a file declares.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use prost::{DecodeError, Message};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use wire::proto::reflection_v1::FileDescriptorResponse;

/// An index that is made once and then only read.
#[derive(Default)]
pub(crate) struct Descriptors {
    files: HashMap<String, File>,
    symbols: HashMap<String, Symbol>,
}

struct File {
    /// As the compiler wrote it: nothing that we do not know of is lost.
    encoded: Bytes,
    imports: Vec<String>,
}

struct Symbol {
    file: String,
    is_message: bool,
}

impl Descriptors {
    /// The index of an encoded `google.protobuf.FileDescriptorSet`.
    pub(crate) fn read(set: &'static [u8]) -> Result<Self, DecodeError> {
        // On the wire a set of files is what a reply with all of them would be, and
        // read as such its files are views of it.
        let set = FileDescriptorResponse::decode(Bytes::from_static(set))?;
        let mut descriptors = Self::default();
        for encoded in set.file_descriptor_proto {
            let file = FileDescriptorProto::decode(encoded.clone())?;
            descriptors.add_file(encoded, file);
        }
        Ok(descriptors)
    }

    /// The file of this name and then all that it imports, directly or not, encoded;
    /// none if there is no such file.
    pub(super) fn file(&self, name: &str) -> Vec<Bytes> {
        let mut names = vec![name];
        let mut seen: HashSet<&str> = names.iter().copied().collect();
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(name) = names.get(next) {
            next += 1;
            if let Some(file) = self.files.get(*name) {
                found.push(file.encoded.clone());
                let imports = file.imports.iter().map(String::as_str);
                names.extend(imports.filter(|import| seen.insert(import)));
            }
        }
        found
    }

    /// The file that declares this symbol, and all that it imports; none if no file
    /// does. `symbol` is a full name without a leading dot.
    pub(super) fn file_of(&self, symbol: &str) -> Vec<Bytes> {
        self.symbols
            .get(symbol)
            .map_or_else(Vec::new, |symbol| self.file(&symbol.file))
    }

    /// Whether this is the full name of a message.
    pub(super) fn is_message(&self, name: &str) -> bool {
        self.symbols
            .get(name)
            .is_some_and(|symbol| symbol.is_message)
    }

    fn add_file(&mut self, encoded: Bytes, file: FileDescriptorProto) {
        let scope = Scope {
            file: file.name(),
            path: file.package(),
        };
        for message in &file.message_type {
            self.add_message(scope, message);
        }
        for each in &file.enum_type {
            self.add_enum(scope, each);
        }
        for extension in &file.extension {
            self.add(scope, extension.name());
        }
        for service in &file.service {
            let path = self.add(scope, service.name());
            for method in &service.method {
                self.add(scope.inner(&path), method.name());
            }
        }
        let name = file.name().to_owned();
        let imports = file.dependency;
        self.files.insert(name, File { encoded, imports });
    }

    fn add_message(&mut self, scope: Scope<'_>, message: &DescriptorProto) {
        let path = self.add(scope, message.name());
        if let Some(symbol) = self.symbols.get_mut(&path) {
            symbol.is_message = true;
        }
        let inside = scope.inner(&path);
        for field in message.field.iter().chain(&message.extension) {
            self.add(inside, field.name());
        }
        for oneof in &message.oneof_decl {
            self.add(inside, oneof.name());
        }
        for nested in &message.nested_type {
            self.add_message(inside, nested);
        }
        for each in &message.enum_type {
            self.add_enum(inside, each);
        }
    }

    fn add_enum(&mut self, scope: Scope<'_>, each: &EnumDescriptorProto) {
        self.add(scope, each.name());
        for value in &each.value {
            // As in C++, an enum's values are declared beside it and not inside.
            self.add(scope, value.name());
        }
    }

    /// Adds a symbol; answers its full name.
    fn add(&mut self, scope: Scope<'_>, name: &str) -> String {
        let full_name = match scope.path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let symbol = Symbol {
            file: scope.file.to_owned(),
            is_message: false,
        };
        self.symbols.insert(full_name.clone(), symbol);
        full_name
    }
}

/// Where a symbol is declared.
#[derive(Clone, Copy)]
struct Scope<'a> {
    file: &'a str,
    /// A package, or the full name of a message or a service.
    path: &'a str,
}

impl<'a> Scope<'a> {
    fn inner(self, path: &'a str) -> Self {
        Self { path, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Descriptors};
    use crate::services::SERVICES;
    use prost::Message;
    use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

    fn ours() -> Descriptors {
        Descriptors::read(wire::proto::FILE_DESCRIPTOR_SET).unwrap()
    }

    fn names(files: &[Bytes]) -> Vec<String> {
        files
            .iter()
            .map(|file| FileDescriptorProto::decode(file.clone()).unwrap())
            .map(|file| file.name().to_owned())
            .collect()
    }

    #[test]
    fn all_that_is_described_is_served() {
        let set = FileDescriptorSet::decode(wire::proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut described: Vec<String> = Vec::new();
        for file in &set.file {
            let package = file.package();
            let names = file
                .service
                .iter()
                .map(prost_types::ServiceDescriptorProto::name);
            described.extend(names.map(|name| format!("{package}.{name}")));
        }
        described.sort();
        assert_eq!(described, SERVICES);
    }

    #[test]
    fn symbols_of_every_sort() {
        let ours = ours();
        for (symbol, file) in [
            ("tensorflow.serving.PredictionService", "services"),
            ("tensorflow.serving.PredictionService.Predict", "services"),
            ("tensorflow.serving.PredictRequest", "predict"),
            ("tensorflow.serving.PredictRequest.inputs", "predict"),
            ("tensorflow.serving.ModelSpec.version_choice", "model"),
            ("tensorflow.TensorShapeProto.Dim", "tensor"),
            ("tensorflow.TensorShapeProto.Dim.size", "tensor"),
            ("tensorflow.DataType", "types"),
            ("tensorflow.DT_FLOAT", "types"),
            ("grpc.health.v1.HealthCheckResponse.ServingStatus", "health"),
            ("grpc.health.v1.HealthCheckResponse.SERVING", "health"),
            ("google.protobuf.Any", "any"),
        ] {
            let files = names(&ours.file_of(symbol));
            let first = files.first().map_or("", String::as_str);
            assert!(
                first.ends_with(&format!("{file}.proto")),
                "{symbol}: {files:?}"
            );
        }
        for symbol in [
            "",
            ".",
            "tensorflow",
            "tensorflow.DataType.DT_FLOAT",
            "DataType",
        ] {
            assert!(ours.file_of(symbol).is_empty(), "{symbol}");
        }
        assert!(ours.is_message("tensorflow.TensorShapeProto.Dim"));
        assert!(!ours.is_message("tensorflow.DataType"));
        assert!(!ours.is_message("tensorflow.TensorProto.dtype"));
    }

    #[test]
    fn a_file_comes_with_its_imports_once_each() {
        let file = |name: &str, imports: &[&str]| FileDescriptorProto {
            name: Some(name.into()),
            dependency: imports.iter().map(|&import| import.into()).collect(),
            message_type: vec![DescriptorProto {
                name: Some(format!("In_{name}")),
                ..Default::default()
            }],
            ..Default::default()
        };
        let set = FileDescriptorSet {
            file: vec![
                file("bottom", &[]),
                file("left", &["bottom"]),
                file("right", &["bottom", "left"]),
                file("top", &["left", "right", "not there"]),
            ],
        };
        let descriptors = Descriptors::read(set.encode_to_vec().leak()).unwrap();
        let top = descriptors.file("top");
        assert_eq!(names(&top), ["top", "left", "right", "bottom"]);
        assert_eq!(descriptors.file_of("In_top"), top);
        assert_eq!(names(&descriptors.file("bottom")), ["bottom"]);
        assert!(descriptors.file("not there").is_empty());
    }

    #[test]
    fn files_are_whole() {
        let ours = ours();
        for name in ours.files.keys() {
            let files = ours.file(name);
            let given = names(&files);
            assert_eq!(&given[0], name);
            for file in files {
                let file = FileDescriptorProto::decode(file).unwrap();
                assert!(file.dependency.iter().all(|import| given.contains(import)));
            }
        }
    }

    #[test]
    fn what_is_no_set_of_files() {
        assert!(Descriptors::read(b"\x0a\x05abc").is_err());
        assert!(Descriptors::read(b"\x0a\x01\xff").is_err());
    }
}
