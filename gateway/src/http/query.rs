//! Query strings. Parameters are taken out by name; what is left over is unknown, and refused.

use super::problem::Problem;
use wire::limits;

/// Parameters of one query; more are refused.
const PARAMETERS_MAX: usize = 64;

/// A query string, in raw form, being taken apart.
pub(crate) struct Query<'a> {
    pairs: Vec<(String, &'a str)>,
}

/// Undoes percent-encoding, and `+` for a space. `None` if it is broken or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl<'a> Query<'a> {
    /// Splits `raw`, which is what follows the question mark.
    pub(crate) fn parse(raw: Option<&'a str>) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in raw.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| Problem::field("", "not_text", "parameters are UTF-8, percent-encoded"))?;
            pairs.push((name, value));
            if pairs.len() > PARAMETERS_MAX {
                return Err(Problem::field("", "too_many", format!("at most {PARAMETERS_MAX} parameters")));
            }
        }
        Ok(Self { pairs })
    }

    /// Takes every value of `name` as it was sent, in order.
    pub(crate) fn all_raw(&mut self, name: &str) -> Vec<&'a str> {
        let found = self.pairs.iter().filter(|(n, _)| n == name).map(|(_, value)| *value).collect();
        self.pairs.retain(|(n, _)| n != name);
        found
    }

    /// Takes every value of `name`, decoded.
    pub(crate) fn all(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        self.all_raw(name).into_iter().map(|value| text(name, value)).collect()
    }

    /// Takes the one value of `name` as it was sent.
    pub(crate) fn raw(&mut self, name: &str) -> Result<Option<&'a str>, Problem> {
        match *self.all_raw(name) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Problem::field(format!("/{name}"), "repeated", "this parameter may be given once")),
        }
    }

    /// Takes the one value of `name`, decoded.
    pub(crate) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        self.raw(name)?.map(|value| text(name, value)).transpose()
    }

    /// Takes `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<Option<bool>, Problem> {
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::field(format!("/{name}"), "wrong_value", "true or false")),
        }
    }

    /// Takes `limit`: how many entries a page may have.
    pub(crate) fn limit(&mut self, default: u16) -> Result<u16, Problem> {
        let Some(value) = self.one("limit")? else { return Ok(default) };
        let limit = value.parse().ok().filter(|n| (1..=limits::PAGE_MAX).contains(n));
        limit.ok_or_else(|| Problem::field("/limit", "out_of_range", format!("a number from 1 to {}", limits::PAGE_MAX)))
    }

    /// Refuses what nobody took.
    pub(crate) fn end(self) -> Result<(), Problem> {
        match self.pairs.into_iter().next() {
            None => Ok(()),
            Some((name, _)) => {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                Err(Problem::field(pointer, "unknown_parameter", "there is no such parameter"))
            }
        }
    }
}

fn text(name: &str, value: &str) -> Result<String, Problem> {
    decode(value).ok_or_else(|| Problem::field(format!("/{name}"), "not_text", "UTF-8, percent-encoded"))
}

/// The address of the next page: this one with another `after`.
pub(crate) fn next_page(path: &str, raw: Option<&str>, after: &str) -> String {
    let mut url = format!("{path}?");
    for pair in raw.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
        if pair.split('=').next() != Some("after") {
            url.push_str(pair);
            url.push('&');
        }
    }
    url.push_str("after=");
    url.push_str(&encode(after));
    url
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_taken_once_and_the_rest_is_refused() {
        let mut query = Query::parse(Some("q=ink+80%26&filter=a&filter=b&total=true&x=1")).expect("well formed");
        assert_eq!(query.one("q").ok(), Some(Some("ink 80&".to_owned())));
        assert_eq!(query.all("filter").ok(), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(query.flag("total").ok(), Some(Some(true)));
        assert_eq!(query.limit(20).ok(), Some(20));
        assert!(query.end().is_err(), "x is unknown");
    }

    #[test]
    fn broken_values_are_refused() {
        for (raw, name) in [("q=%", "q"), ("q=%4", "q"), ("q=%zz", "q"), ("q=%FF", "q"), ("q=1&q=2", "q")] {
            assert!(Query::parse(Some(raw)).and_then(|mut query| query.one(name)).is_err(), "{raw}");
        }
        for raw in ["limit=0", "limit=101", "limit=x", "limit=-1", "limit="] {
            assert!(Query::parse(Some(raw)).and_then(|mut query| query.limit(20)).is_err(), "{raw}");
        }
        assert!(Query::parse(Some("total=1")).and_then(|mut query| query.flag("total")).is_err());
        assert!(Query::parse(Some(&"a&".repeat(65))).is_err());
    }

    #[test]
    fn the_next_page_keeps_the_rest() {
        assert_eq!(next_page("/v1/search", Some("q=a&after=x&limit=2"), "y="), "/v1/search?q=a&limit=2&after=y%3D");
        assert_eq!(next_page("/v1/search", None, "y"), "/v1/search?after=y");
    }

    proptest! {
        #[test]
        fn encoding_round_trips(text: String) {
            prop_assert_eq!(decode(&encode(&text)), Some(text));
        }
    }
}
