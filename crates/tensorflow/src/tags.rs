//! The tags that choose one of a SavedModel's graphs.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char};
use std::fmt;

use engine::ServeError;

/// A set of tags. A graph is chosen that has these and no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags(BTreeSet<CString>);

impl Tags {
    /// The tags of these names, in whatever order.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there are none, or if one is empty or has a zero byte, which
    /// TensorFlow can't be told.
    pub fn new<Name: AsRef<str>>(
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, ServeError> {
        let tags = names
            .into_iter()
            .map(|name| {
                let name = name.as_ref();
                CString::new(name)
                    .ok()
                    .filter(|tag| !tag.is_empty())
                    .ok_or_else(|| {
                        let message = format!("a SavedModel's tag can't be {name:?}");
                        ServeError::invalid_argument(message)
                    })
            })
            .collect::<Result<BTreeSet<_>, _>>()?;
        if tags.is_empty() {
            let message = "a SavedModel's graph is chosen by one tag at least";
            return Err(ServeError::invalid_argument(message));
        }
        Ok(Self(tags))
    }

    /// Whether these are all of a graph's tags.
    pub(crate) fn are(&self, tags: &[String]) -> bool {
        let tags: BTreeSet<&[u8]> = tags.iter().map(String::as_bytes).collect();
        tags.into_iter().eq(self.0.iter().map(CString::as_bytes))
    }

    /// As a C call takes them; valid as long as they live.
    pub(crate) fn as_pointers(&self) -> Vec<*const c_char> {
        self.0.iter().map(|tag| tag.as_ptr()).collect()
    }
}

impl Default for Tags {
    /// `serve`: the graph that is made for serving.
    fn default() -> Self {
        const SERVE: &CStr = c"serve";
        Self(BTreeSet::from([SERVE.to_owned()]))
    }
}

impl fmt::Display for Tags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|tag| tag.to_string_lossy()).collect();
        write!(formatter, "{{{}}}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::Tags;

    #[test]
    fn a_graph_is_meant_by_all_of_its_tags() {
        let tags = Tags::new(["serve", "gpu", "serve"]).unwrap();
        let named = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(tags.are(&named(&["gpu", "serve"])));
        assert!(tags.are(&named(&["gpu", "serve", "gpu"])));
        for other in [&[][..], &["serve"], &["gpu", "serve", "tpu"], &["a", "b"]] {
            assert!(!tags.are(&named(other)), "{other:?}");
        }
        assert_eq!(tags.to_string(), "{gpu, serve}");
        assert_eq!(tags.as_pointers().len(), 2);
        assert_eq!(Tags::default(), Tags::new(["serve"]).unwrap());
    }

    #[test]
    fn what_is_no_tag() {
        for names in [&[][..], &[""], &["a", "b\0c"]] {
            assert!(Tags::new(names.iter().copied()).is_err(), "{names:?}");
        }
    }
}
