//! A body's object, looked through for the members that it may have: where their values
//! are. What it finds is JSON up to the object's end.

use super::quoted::Quoted;
use super::refusal::{Refusal, excerpt, invalid};
use super::scanner::Scanner;

/// The name of the signature's member.
pub(super) const SIGNATURE_NAME: &str = "signature_name";

/// The first of each wanted name.
pub(super) struct Members<'a, const N: usize> {
    body: &'a [u8],
    names: [&'static str; N],
    values: [Option<Scanner<'a>>; N],
}

impl<'a, const N: usize> Members<'a, N> {
    /// Looks for the members of these names.
    pub(super) fn find(body: &'a [u8], names: [&'static str; N]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(invalid("JSON Parse error: The document is empty"));
        }
        let mut found = Self {
            body,
            names,
            values: [None; N],
        };
        let mut scanner = Scanner::new(body);
        if scanner.peek() != b'{' {
            scanner.skip()?;
            return Err(found.refuse("Is not object"));
        }
        scanner.eat(b'{');
        if scanner.eat(b'}') {
            return Ok(found);
        }
        loop {
            let name = scanner.name()?;
            if let Some(at) = names.iter().position(|wanted| name.is(wanted)) {
                found.values[at].get_or_insert(scanner);
            }
            scanner.skip()?;
            if !scanner.object_goes_on()? {
                return Ok(found);
            }
        }
    }

    /// Where the value of this member is.
    pub(super) fn get(&self, name: &str) -> Option<Scanner<'a>> {
        let at = self.names.iter().position(|known| *known == name)?;
        self.values[at]
    }

    /// The signature's name; empty where none is given.
    pub(super) fn signature_name(&self) -> Result<String, Refusal> {
        let Some(mut scanner) = self.get(SIGNATURE_NAME) else {
            return Ok(String::new());
        };
        read_string(&mut scanner).map(Quoted::lossy).ok_or_else(|| {
            self.refuse("not formatted correctly. 'signature_name' key must be a string value.")
        })
    }

    /// Refuses the body as a whole.
    pub(super) fn refuse(&self, problem: &str) -> Refusal {
        let body = excerpt(self.body, Scanner::new(self.body));
        invalid(format!("JSON Value: {body} {problem}"))
    }
}

/// The string that is next, if one is.
pub(super) fn read_string<'a>(scanner: &mut Scanner<'a>) -> Option<Quoted<'a>> {
    if scanner.peek() == b'"' {
        scanner.string().ok()
    } else {
        None
    }
}
