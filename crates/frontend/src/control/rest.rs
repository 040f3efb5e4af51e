//! Commands over plain HTTP: what a path and a body ask of the control plane, as JSON.

use std::future::pending;

use bytes::Bytes;
use engine::{Kind, ServeError};
use http::{HeaderMap, header};
use serde_json::{Map, Value, json};

use super::answer::{queue, stopped_or};
use crate::app::App;

/// What a command of the REST API does with a model, or asks of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Adds it, or takes another configuration for it.
    Load,
    /// Takes it away.
    Unload,
    /// Looks for its versions and loads them again.
    Reload,
    /// What is configured.
    Config,
}

impl Verb {
    /// The verb of a path's last word.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            ":load" => Some(Self::Load),
            ":unload" => Some(Self::Unload),
            ":reload" => Some(Self::Reload),
            _ => None,
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Load => "tensorwire.ModelRepository/LoadModel",
            Self::Unload => "tensorwire.ModelRepository/UnloadModel",
            Self::Reload => "tensorwire.ModelRepository/ReloadModel",
            Self::Config => "tensorwire.ModelRepository/GetConfig",
        }
    }
}

/// Whether a command may be given so; to be asked before its body is read.
pub(crate) fn check(app: &App, verb: Verb, headers: &HeaderMap) -> Result<(), ServeError> {
    // A page of any site can have the browser send this to a server on the user's machine.
    if headers.contains_key(header::ORIGIN) {
        return Err(ServeError::new(
            Kind::PermissionDenied,
            "models can't be changed from a web page (the request has the header Origin)",
        ));
    }
    app.permitted.check(verb.method())
}

/// Has a command done and answers its reply, JSON. `body`: for a load the model's
/// `ModelConfig`, whose name is the path's; for each but the configuration also `no_wait`.
pub(crate) async fn command(
    app: &App,
    (verb, name): (Verb, &str),
    body: &Bytes,
) -> Result<Bytes, ServeError> {
    let request = request(verb, name, body)?;
    let outcome = queue(app, verb.method())?.push(verb.method(), request.into(), true)?;
    stopped_or(app, outcome, pending()).await
}

/// The request's message as JSON.
fn request(verb: Verb, name: &str, body: &[u8]) -> Result<String, ServeError> {
    let mut given = object(body)?;
    let mut request = Map::new();
    for key in ["no_wait", "noWait"] {
        if let Some(no_wait) = given.remove(key) {
            request.insert("no_wait".to_owned(), no_wait);
        }
    }
    match verb {
        Verb::Load => {
            if given.get("name").is_some_and(|named| named != name) {
                return Err(ServeError::invalid_argument(format!(
                    "the body is for a model {}, the path for {name}",
                    given["name"]
                )));
            }
            given.insert("name".to_owned(), json!(name));
            request.insert("config".to_owned(), Value::Object(given));
        }
        Verb::Unload | Verb::Reload => {
            if let Some(key) = given.keys().next() {
                return Err(ServeError::invalid_argument(format!(
                    "the body can have no_wait and nothing else; it has {}",
                    Value::from(key.as_str())
                )));
            }
            request.insert("name".to_owned(), json!(name));
        }
        Verb::Config => {}
    }
    Ok(Value::Object(request).to_string())
}

/// The members of a body, which may be empty.
fn object(body: &[u8]) -> Result<Map<String, Value>, ServeError> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let invalid = |reason: String| {
        ServeError::invalid_argument(format!("the body is not a JSON object: {reason}"))
    };
    match serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))? {
        Value::Object(members) => Ok(members),
        Value::Array(_) => Err(invalid("it is an array".to_owned())),
        other => Err(invalid(format!("it is {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use engine::Kind;
    use serde_json::{Value, json};

    use super::{Verb, request};

    fn made(verb: Verb, body: &str) -> Value {
        serde_json::from_str(&request(verb, "m", body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn bodies_become_requests() {
        for (verb, body, wanted) in [
            (Verb::Load, "", json!({"config": {"name": "m"}})),
            (
                Verb::Load,
                r#"{"base_path": "/models/m", "name": "m", "no_wait": true}"#,
                json!({"config": {"name": "m", "base_path": "/models/m"}, "no_wait": true}),
            ),
            (Verb::Unload, " {} ", json!({"name": "m"})),
            (
                Verb::Reload,
                r#"{"noWait": true}"#,
                json!({"name": "m", "no_wait": true}),
            ),
            (Verb::Config, "", json!({})),
        ] {
            assert_eq!(made(verb, body), wanted, "{body}");
        }
    }

    #[test]
    fn bodies_that_are_none() {
        for (verb, body, wanted) in [
            (
                Verb::Load,
                "[1]",
                "the body is not a JSON object: it is an array",
            ),
            (Verb::Load, "1", "the body is not a JSON object: it is 1"),
            (
                Verb::Load,
                r#"{"name": "n"}"#,
                "the body is for a model \"n\", the path for m",
            ),
            (
                Verb::Load,
                r#"{"name": 5}"#,
                "the body is for a model 5, the path for m",
            ),
            (
                Verb::Unload,
                r#"{"base_path": "/"}"#,
                "the body can have no_wait and nothing else; it has \"base_path\"",
            ),
        ] {
            let error = request(verb, "m", body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert_eq!(error.message(), wanted);
        }
        let broken = request(Verb::Load, "m", b"{").unwrap_err();
        assert!(
            broken
                .message()
                .starts_with("the body is not a JSON object: EOF")
        );
    }
}
