//! What a channel and a call are told, from Python's values.

use std::time::Duration;

use client::{CallOptions, ChannelOptions, MetadataValue, Pem, Tls, TlsOptions, UserMetadata};
use pyo3::prelude::*;
use serde::Deserialize;

use super::native_error;
use crate::error::invalid_argument;

/// The channel's options as the JSON has them; times are in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    connect_timeout: f64,
    keepalive_time: Option<f64>,
    keepalive_timeout: f64,
    retries: u32,
    retry_initial_backoff: f64,
    retry_max_backoff: f64,
    max_message_bytes: usize,
    tls: Option<TlsSettings>,
    user_agent: String,
}

/// A channel's TLS as the JSON has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSettings {
    ca: Option<PemText>,
    certificate: Option<PemText>,
    key: Option<PemText>,
    server_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PemText {
    text: String,
    source: String,
}

impl From<PemText> for Pem {
    fn from(pem: PemText) -> Self {
        Self {
            text: pem.text,
            source: pem.source,
        }
    }
}

fn tls(settings: TlsSettings) -> PyResult<Tls> {
    let identity = settings.certificate.zip(settings.key);
    Tls::new(&TlsOptions {
        ca: settings.ca.map(Pem::from),
        identity: identity.map(|(certificate, key)| (certificate.into(), key.into())),
        server_name: settings.server_name,
    })
    .map_err(|error| native_error(&error))
}

/// Reads a channel's options.
pub(crate) fn channel_options(json: &str) -> PyResult<ChannelOptions> {
    let options: Options = serde_json::from_str(json)
        .map_err(|error| invalid_argument(&format!("the channel's options: {error}")))?;
    Ok(ChannelOptions {
        connect_timeout: duration("connect_timeout", options.connect_timeout)?,
        keepalive_time: options
            .keepalive_time
            .map(|seconds| duration("keepalive_time", seconds))
            .transpose()?,
        keepalive_timeout: duration("keepalive_timeout", options.keepalive_timeout)?,
        retries: options.retries,
        retry_initial_backoff: duration("retry_initial_backoff", options.retry_initial_backoff)?,
        retry_max_backoff: duration("retry_max_backoff", options.retry_max_backoff)?,
        max_message_bytes: options.max_message_bytes,
        tls: options.tls.map(tls).transpose()?,
        user_agent: options.user_agent,
    })
}

/// One metadata entry's value.
#[derive(FromPyObject)]
pub(crate) enum EntryValue {
    #[pyo3(transparent)]
    Text(String),
    #[pyo3(transparent)]
    Bytes(Vec<u8>),
}

/// The entries of a call.
pub(crate) type Entries = Vec<(String, EntryValue)>;

/// Reads a call's options.
pub(crate) fn call_options(
    timeout: Option<f64>,
    metadata: Entries,
    wait_for_ready: bool,
) -> PyResult<CallOptions> {
    let entries = metadata.into_iter().map(|(key, value)| match value {
        EntryValue::Text(text) => (key, MetadataValue::Text(text)),
        EntryValue::Bytes(bytes) => (key, MetadataValue::Bytes(bytes)),
    });
    Ok(CallOptions {
        timeout: timeout
            .map(|seconds| duration("timeout", seconds))
            .transpose()?,
        metadata: UserMetadata::new(entries).map_err(|error| native_error(&error))?,
        wait_for_ready,
    })
}

/// A time; an error that names it for what can't be one.
pub(crate) fn duration(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        invalid_argument(&format!(
            "{name} must be a number of seconds, 0 or more; got {seconds}"
        ))
    })
}
