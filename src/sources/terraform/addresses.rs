//! Addresses and references, such as `module.web["a"].aws_launch_template.this[0].id`.

/// A name in an address or a reference, with the key of `count` or `for_each` as it is written: of `web["a"]`, they are
/// `web` and `"a"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) key: Option<String>,
}

/// Returns the segments of an address or a reference.
pub(super) fn segments(text: &str) -> Vec<Segment> {
    let mut segments = vec![Segment::default()];
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for c in text.chars() {
        let was_inside = depth > 0;
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' if was_inside => in_string = !in_string,
            _ if in_string => {}
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let Some(last) = segments.last_mut() else { break };
        match c {
            // The outermost brackets are not part of the key.
            '[' if !was_inside => last.key = Some(String::new()),
            ']' if depth == 0 => {}
            c if was_inside => last.key.get_or_insert_default().push(c),
            '.' => segments.push(Segment::default()),
            c => last.name.push(c),
        }
    }
    segments
}

/// The calls that lead to an instance of a module, from the root module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ModuleInstance(Vec<Segment>);

impl ModuleInstance {
    /// Reads the address of a module, in which the word `module` and the name of a call alternate. That of the root module is
    /// empty.
    pub(super) fn from_address(address: &str) -> Self {
        Self(segments(address).into_iter().skip(1).step_by(2).collect())
    }

    /// Returns the names of the calls.
    pub(super) fn path(&self) -> Vec<String> {
        self.0.iter().map(|call| call.name.clone()).collect()
    }

    /// Returns the module that calls this one, and the call; `None` of the root module.
    pub(super) fn caller(mut self) -> Option<(Self, Segment)> {
        let call = self.0.pop()?;
        Some((self, call))
    }

    /// Returns the module that this one calls.
    pub(super) fn called(mut self, call: Segment) -> Self {
        self.0.push(call);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_names() {
        let segment = |(name, key): (&str, Option<&str>)| Segment {
            name: name.to_owned(),
            key: key.map(str::to_owned),
        };
        for (text, expected) in [
            ("aws_launch_template.web", vec![("aws_launch_template", None), ("web", None)]),
            (
                "module.a[\"x.y\\\"]\"].aws_launch_template.web[0].id",
                vec![
                    ("module", None),
                    ("a", Some("\"x.y\\\"]\"")),
                    ("aws_launch_template", None),
                    ("web", Some("0")),
                    ("id", None),
                ],
            ),
            ("", vec![("", None)]),
            ("a]]b", vec![("ab", None)]),
        ] {
            assert_eq!(segments(text), expected.into_iter().map(segment).collect::<Vec<_>>(), "{text}");
        }
        let module = ModuleInstance::from_address("module.a[0].module.b[\"module.c\"]");
        assert_eq!(module.path(), ["a", "b"]);
        let (caller, call) = module.clone().caller().expect("a caller");
        assert_eq!(call, segment(("b", Some("\"module.c\""))));
        assert_eq!(caller.called(call), module);
        assert_eq!(ModuleInstance::from_address("").caller(), None);
    }
}
