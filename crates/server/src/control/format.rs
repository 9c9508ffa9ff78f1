//! How answers look, which a client may choose (ovs-appctl(8), `--format`).

/// How answers look: as they are, or wrapped in JSON for who has asked for that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// The format that `set-options` asks for, if it does.
pub(super) fn format_asked_for(arguments: &[String]) -> Result<Option<Format>, String> {
    let mut asked = None;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            break;
        }
        let Some(option) = argument.strip_prefix("--") else {
            continue;
        };
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        // As getopt_long(3) does, by a beginning of the name.
        if !"format".starts_with(name) {
            return Err(format!("unrecognized option '--{name}'"));
        }
        let value = value.or_else(|| arguments.next().map(String::as_str));
        asked = match value {
            Some("json") => Some(Format::Json),
            Some("text") => Some(Format::Text),
            Some(other) => return Err(format!("option format has invalid value {other}")),
            None => return Err("option '--format' requires an argument".to_owned()),
        };
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_reference() {
        let asked = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
            format_asked_for(&arguments)
        };
        assert_eq!(asked(&["--format", "json"]), Ok(Some(Format::Json)));
        assert_eq!(asked(&["--format=text"]), Ok(Some(Format::Text)));
        assert_eq!(asked(&["a"]), Ok(None));
        for (arguments, error) in [
            (
                &["--format", "xml"][..],
                "option format has invalid value xml",
            ),
            (&["--foo"], "unrecognized option '--foo'"),
            (&["--format"], "option '--format' requires an argument"),
        ] {
            assert_eq!(asked(arguments), Err(error.to_owned()));
        }
    }
}
