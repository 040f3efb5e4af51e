//! One file a service: what each does with a message.

pub(crate) mod predict;

pub(crate) mod text;

mod model_spec;

pub(crate) mod metadata;
pub(crate) mod model_status;

pub(crate) mod health;
pub(crate) mod reflection;
