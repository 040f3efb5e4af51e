//! What a path of the REST API asks for. Paths are TensorFlow Serving's: `v1`, `models`,
//! `versions` and the like in any case, the method after the colon in lower case alone.

use engine::{ModelSelector, ServeError, Version};
use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;

use crate::control::Verb;

/// Where the API is.
const ROOT: &str = "/v1/";
const MODELS: &str = "/v1/models";
const CONFIG: &str = "/v1/config";

/// Longest path that an error repeats, in characters.
const PATH_LIMIT: usize = 1000;

/// What is done with examples or tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InferenceMethod {
    Predict,
    Classify,
    Regress,
}

/// What a request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Inference(InferenceMethod, ModelPath),
    Status(ModelPath),
    Metadata(ModelPath),
    /// Every model with its versions.
    Models,
    /// A change of the model of this name, or none for the configuration.
    Control(Verb, String),
    /// A browser asks what it may do.
    Preflight,
}

/// A model as a path names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ModelPath {
    pub(super) name: String,
    pub(super) version: PathVersion,
}

/// Which of the model's versions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PathVersion {
    Latest,
    Number(i64),
    Label(String),
}

impl ModelPath {
    /// Whether it names no version.
    fn is_all(&self) -> bool {
        self.version == PathVersion::Latest
    }

    pub(super) fn selector(&self) -> ModelSelector<'_> {
        ModelSelector {
            name: &self.name,
            version: match &self.version {
                PathVersion::Latest => Version::Latest,
                PathVersion::Number(number) => Version::Number(*number),
                PathVersion::Label(label) => Version::Label(label),
            },
        }
    }
}

/// Whether a path belongs to the REST API.
pub(crate) fn is_rest(path: &str) -> bool {
    strip_word(path, ROOT).is_some()
}

impl Route {
    /// What a request wants whose path [`is_rest`]; its query says nothing.
    pub(super) fn of(head: &Parts) -> Result<Self, ServeError> {
        let path = head.uri.path();
        let malformed = || malformed(&head.method, path);
        match head.method {
            Method::OPTIONS => Ok(Self::Preflight),
            Method::GET if path.eq_ignore_ascii_case(CONFIG) => {
                Ok(Self::Control(Verb::Config, String::new()))
            }
            Method::GET => match strip_word(path, MODELS).ok_or_else(malformed)? {
                "" => Ok(Self::Models),
                rest => {
                    let (model, rest) = read_model(rest)?.ok_or_else(malformed)?;
                    match rest {
                        "" => Ok(Self::Status(model)),
                        _ if rest.eq_ignore_ascii_case("/metadata") => Ok(Self::Metadata(model)),
                        _ => Err(malformed()),
                    }
                }
            },
            Method::POST => {
                let rest = strip_word(path, MODELS).ok_or_else(malformed)?;
                let (model, rest) = read_model(rest)?.ok_or_else(malformed)?;
                if let Some(verb) = Verb::of(rest).filter(|_| model.is_all()) {
                    return Ok(Self::Control(verb, model.name));
                }
                let method = match rest {
                    ":predict" => InferenceMethod::Predict,
                    ":classify" => InferenceMethod::Classify,
                    ":regress" => InferenceMethod::Regress,
                    _ => return Err(malformed()),
                };
                Ok(Self::Inference(method, model))
            }
            _ => Err(malformed()),
        }
    }
}

/// Reads `/{name}[/versions/{digits}|/labels/{label}]` and gives what follows it; `None`
/// if it is none.
fn read_model(path: &str) -> Result<Option<(ModelPath, &str)>, ServeError> {
    let Some((name, rest)) = path.strip_prefix('/').and_then(read_word) else {
        return Ok(None);
    };
    let (version, rest) = if let Some(rest) = strip_word(rest, "/versions/") {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let (digits, rest) = rest.split_at(digits);
        let number = digits.parse().map_err(|_| {
            let message = format!("Failed to convert version: {} to numeric.", shown(digits));
            ServeError::invalid_argument(message)
        })?;
        (PathVersion::Number(number), rest)
    } else if let Some(rest) = strip_word(rest, "/labels/") {
        let Some((label, rest)) = read_word(rest) else {
            return Ok(None);
        };
        (PathVersion::Label(decode(label)), rest)
    } else {
        (PathVersion::Latest, rest)
    };
    let name = decode(name);
    Ok(Some((ModelPath { name, version }, rest)))
}

/// A name up to the next separator, and what follows it.
fn read_word(path: &str) -> Option<(&str, &str)> {
    let end = path.find(['/', ':']).unwrap_or(path.len());
    (end > 0).then(|| path.split_at(end))
}

/// What follows `word` at the beginning of `path`, in whatever case it is written.
fn strip_word<'a>(path: &'a str, word: &str) -> Option<&'a str> {
    let (beginning, rest) = path.split_at_checked(word.len())?;
    beginning.eq_ignore_ascii_case(word).then_some(rest)
}

fn decode(word: &str) -> String {
    percent_decode_str(word).decode_utf8_lossy().into_owned()
}

fn malformed(method: &Method, path: &str) -> ServeError {
    ServeError::invalid_argument(format!("Malformed request: {method} {}", shown(path)))
}

fn shown(path: &str) -> &str {
    let end = path.char_indices().nth(PATH_LIMIT).map(|(end, _)| end);
    &path[..end.unwrap_or(path.len())]
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{InferenceMethod, ModelPath, PathVersion, Route, is_rest};
    use crate::control::Verb;

    fn route(line: &str) -> Result<Route, String> {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path).body(());
        let (head, ()) = request.unwrap().into_parts();
        Route::of(&head).map_err(|error| error.message().to_owned())
    }

    fn model(name: &str, version: PathVersion) -> ModelPath {
        let name = name.to_owned();
        ModelPath { name, version }
    }

    #[test]
    fn routes() {
        let latest = |name| model(name, PathVersion::Latest);
        let predict = |path| Ok(Route::Inference(InferenceMethod::Predict, path));
        let canary = PathVersion::Label("can ary".into());
        for (line, wanted) in [
            ("POST /v1/models/m:predict", predict(latest("m"))),
            ("POST /V1/Models/M:predict?x=1", predict(latest("M"))),
            (
                "POST /v1/models/a%20b%2Fc/VERSIONS/007:predict",
                predict(model("a b/c", PathVersion::Number(7))),
            ),
            (
                "POST /v1/models/m/labels/can%20ary:predict",
                predict(model("m", canary)),
            ),
            (
                "POST /v1/models/m:classify",
                Ok(Route::Inference(InferenceMethod::Classify, latest("m"))),
            ),
            (
                "POST /v1/models/m:regress",
                Ok(Route::Inference(InferenceMethod::Regress, latest("m"))),
            ),
            ("GET /v1/models", Ok(Route::Models)),
            ("GET /v1/models/m", Ok(Route::Status(latest("m")))),
            (
                "GET /v1/models/m/versions/3",
                Ok(Route::Status(model("m", PathVersion::Number(3)))),
            ),
            (
                "GET /v1/models/m/MetaData?a=b",
                Ok(Route::Metadata(latest("m"))),
            ),
            (
                "POST /v1/models/a%20b:load",
                Ok(Route::Control(Verb::Load, "a b".into())),
            ),
            (
                "POST /v1/models/m:unload",
                Ok(Route::Control(Verb::Unload, "m".into())),
            ),
            (
                "POST /v1/models/m:reload?x=1",
                Ok(Route::Control(Verb::Reload, "m".into())),
            ),
            (
                "GET /v1/config",
                Ok(Route::Control(Verb::Config, String::new())),
            ),
            ("OPTIONS /v1/whatever", Ok(Route::Preflight)),
        ] {
            assert_eq!(route(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_malformed() {
        for line in [
            "GET /v1/foo",
            "GET /v1/models/",
            "GET /v1/models/m/",
            "GET /v1/models/m:predict",
            "GET /v1/models/m/versions/x",
            "GET /v1/models/m/versions/",
            "GET /v1/models/m/labels/",
            "GET /v1/models/m/metadata/x",
            "POST /v1/models/m",
            "POST /v1/models/m:PREDICT",
            "POST /v1/models/m:predict/",
            "POST /v1/models/m/versions/1x:predict",
            "POST /v1/models/m/versions/1/labels/a:predict",
            "POST /v1/models/:predict",
            "POST /v1/models/:load",
            "POST /v1/models/m/versions/1:load",
            "POST /v1/models/m:LOAD",
            "POST /v1/config",
            "GET /v1/config/",
            "GET /v1/models/m:unload",
            "PUT /v1/models/m:predict",
            "HEAD /v1/models/m",
        ] {
            assert_eq!(route(line), Err(format!("Malformed request: {line}")));
        }
        assert_eq!(
            route("GET /v1/models/m/versions/9223372036854775808"),
            Err("Failed to convert version: 9223372036854775808 to numeric.".into())
        );
    }

    #[test]
    fn which_paths_are_its() {
        for (path, its) in [
            ("/v1/", true),
            ("/V1/x", true),
            ("/v1", false),
            ("/v2/x", false),
            ("/metrics", false),
            ("*", false),
        ] {
            assert_eq!(is_rest(path), its, "{path}");
        }
    }
}
