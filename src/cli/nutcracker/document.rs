//! A configuration's shape: names of pools, and under each of them keys with a text or a list of
//! texts. twemproxy takes no other; and like there, a text is what is written, never a number or a
//! truth value of YAML's.

use saphyr_parser::{Event, Parser, Span};

use super::Fault;

/// What stands under the name of a pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PoolNode {
    pub(super) name: String,
    /// Counted from 1, here as everywhere.
    pub(super) line: usize,
    pub(super) settings: Vec<Setting>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// Each with its line.
    List(Vec<(usize, String)>),
}

const SHAPE: &str = "write a pool's name and a colon, below it, indented, KEY: VALUE lines, and \
    servers: with '- HOST:PORT:WEIGHT NAME' lines";

/// Reads the text of a file.
pub(super) fn read(text: &str) -> Result<Vec<PoolNode>, Fault> {
    let mut events = Events {
        parser: Parser::new_from_str(text),
    };
    let mut pools: Vec<PoolNode> = Vec::new();
    loop {
        let (event, line) = events.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            Event::MappingStart(..) if pools.is_empty() => pools = events.pools()?,
            Event::StreamEnd if pools.is_empty() => {
                return Err(Fault::new(line, format!("there is no pool; {SHAPE}")));
            }
            Event::StreamEnd => return Ok(pools),
            // A second document, or one that is no map.
            _ => {
                return Err(Fault::new(
                    line,
                    format!("this is not a map of pools; {SHAPE}"),
                ));
            }
        }
    }
}

struct Events<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
}

impl<'t> Events<'t> {
    /// The next event, and the line it begins in.
    fn next(&mut self) -> Result<(Event<'t>, usize), Fault> {
        let line = |span: Span| span.start.line();
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, line(span))),
            Some(Err(error)) => {
                let text = format!("not YAML ({}); {SHAPE}", error.info());
                Err(Fault::new(error.marker().line(), text))
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn pools(&mut self) -> Result<Vec<PoolNode>, Fault> {
        let mut pools: Vec<PoolNode> = Vec::new();
        while let Some((name, line)) = self.key()? {
            if pools.iter().any(|pool| pool.name == name) {
                let text = format!("there are two pools '{name}'; rename one of them");
                return Err(Fault::new(line, text));
            }
            let settings = match self.next()? {
                (Event::MappingStart(..), _) => self.settings()?,
                (_, line) => {
                    let text = format!("pool '{name}' has no keys; {SHAPE}");
                    return Err(Fault::new(line, text));
                }
            };
            pools.push(PoolNode {
                name,
                line,
                settings,
            });
        }
        Ok(pools)
    }

    fn settings(&mut self) -> Result<Vec<Setting>, Fault> {
        let mut settings: Vec<Setting> = Vec::new();
        while let Some((key, line)) = self.key()? {
            if settings.iter().any(|setting| setting.key == key) {
                let text = format!("'{key}' is given twice; leave one");
                return Err(Fault::new(line, text));
            }
            let value = match self.next()? {
                (Event::Scalar(text, ..), _) => Value::Text(text.into_owned()),
                (Event::SequenceStart(..), _) => Value::List(self.list()?),
                (_, line) => {
                    let text = format!("'{key}' has neither a value nor a list; {SHAPE}");
                    return Err(Fault::new(line, text));
                }
            };
            settings.push(Setting { key, line, value });
        }
        Ok(settings)
    }

    /// The next key of a map, or its end.
    fn key(&mut self) -> Result<Option<(String, usize)>, Fault> {
        match self.next()? {
            (Event::Scalar(text, ..), line) => Ok(Some((text.into_owned(), line))),
            (Event::MappingEnd, _) => Ok(None),
            (_, line) => Err(Fault::new(line, format!("this is not a key; {SHAPE}"))),
        }
    }

    fn list(&mut self) -> Result<Vec<(usize, String)>, Fault> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                (Event::Scalar(text, ..), line) => list.push((line, text.into_owned())),
                (Event::SequenceEnd, _) => return Ok(list),
                (_, line) => {
                    return Err(Fault::new(line, format!("this is not a value; {SHAPE}")));
                }
            }
        }
    }
}
