//! From events to windows, one subject at a time.

use std::collections::{BTreeSet, HashMap};

use super::{Aggregate, Event, MedsTask, Over, events::show_time, labels::Sample, task::is_prefix};
use crate::DataError;

/// An event as a column sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// Microseconds; the least number for static events.
    pub(super) time: i64,
    /// NaN where it has none.
    pub(super) number: f32,
    /// Its category, if the column holds categories.
    pub(super) category: u32,
}

/// Before every time.
pub(super) const STATIC: i64 = i64::MIN;

/// How a column is made.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) value: Aggregate,
    /// `None` is ever.
    pub(super) over: Option<i64>,
}

impl Recipe {
    /// The value at a position that ends at `end`, from the events of the column in their order; NaN is missing.
    pub(super) fn at(&self, events: &[Seen], end: i64) -> f32 {
        let upto = events.partition_point(|event| event.time <= end);
        let from = self.over.map_or(0, |over| {
            events[..upto].partition_point(|event| event.time <= end.saturating_sub(over))
        });
        let seen = &events[from..upto];
        let numbers = || seen.iter().map(|event| event.number).filter(|number| !number.is_nan());
        match self.value {
            Aggregate::Last => numbers().next_back().unwrap_or(f32::NAN),
            Aggregate::Mean => {
                let (count, sum) = numbers().fold((0.0, 0.0), |(count, sum), x| (count + 1.0, sum + f64::from(x)));
                (sum / count) as f32
            }
            Aggregate::Min => numbers().fold(f32::NAN, f32::min),
            Aggregate::Max => numbers().fold(f32::NAN, f32::max),
            Aggregate::Count => seen.len() as f32,
            Aggregate::Present => f32::from(u8::from(!seen.is_empty())),
            Aggregate::Category => seen.last().map_or(f32::NAN, |event| event.category as f32),
            Aggregate::MinutesSince | Aggregate::HoursSince | Aggregate::DaysSince | Aggregate::YearsSince => {
                let unit = self.value.unit().unwrap_or(1.0);
                let latest = seen.last().filter(|event| event.time != STATIC);
                latest.map_or(f32::NAN, |event| ((end - event.time) as f64 / unit) as f32)
            }
        }
    }
}

/// What a code means to a task.
#[derive(Clone, Debug, Default)]
struct Meaning {
    /// Columns that it belongs to, and for prefixes the category.
    columns: Vec<(usize, Option<u32>)>,
    environment: Option<u32>,
}

/// Names and their numbers, in the order of their appearance.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) names: Vec<String>,
    known: HashMap<String, u32>,
}

impl Names {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.known.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.known.insert(name.into(), number);
        number
    }
}

/// Windows before their columns are encoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Windows {
    /// Ordered as their subjects stand in the files.
    pub(super) samples: Vec<Sample>,
    /// `[sample, position, column]`; categories by number; NaN is missing.
    pub(super) values: Vec<f32>,
    /// Names of each column's categories.
    pub(super) categories: Vec<Names>,
    /// The environment of each sample, by number.
    pub(super) environment_of: Vec<u32>,
    pub(super) environments: Names,
    /// What came later than each sample, for the audit.
    pub(super) ahead: Vec<Ahead>,
    /// Codes that occur, until they are many.
    pub(super) codes: BTreeSet<String>,
    /// Samples that were recomputed without their future.
    pub(super) recomputed: usize,
}

/// Times of a sample's subject, in microseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ahead {
    /// What a column may count from: the first event, the prediction, and the latest event of each time since, which may be [`STATIC`].
    pub(super) anchors: Vec<i64>,
    /// The last event.
    pub(super) last: i64,
}

/// Codes that are remembered for messages, at most.
const MOST_CODES: usize = 100_000;
/// Samples whose future is changed to see whether their values change, at least, where there are so many.
const PROBES: usize = 24;

/// Takes events in order, gives windows.
pub(crate) struct Windower<'t> {
    task: &'t MedsTask,
    recipes: Vec<Recipe>,
    meanings: HashMap<String, Meaning>,
    /// By subject; taken when the subject comes.
    asked: HashMap<i64, Vec<Sample>>,
    out: Windows,
    subject: Option<i64>,
    /// Of the current subject, one list a column.
    events: Vec<Vec<Seen>>,
    environment: Vec<(i64, u32)>,
    first: Option<i64>,
    last: i64,
}

impl<'t> Windower<'t> {
    /// `samples` are ordered by subject and time.
    pub(crate) fn new(task: &'t MedsTask, samples: Vec<Sample>) -> Self {
        let recipes: Vec<Recipe> = task
            .columns()
            .map(|(_, _, column)| Recipe {
                value: column.value,
                over: match column.over(task.step) {
                    Over::Ever => None,
                    Over::Span(span) => Some(span.micros),
                },
            })
            .collect();
        let mut asked: HashMap<i64, Vec<Sample>> = HashMap::new();
        for sample in samples {
            asked.entry(sample.subject).or_default().push(sample);
        }
        Self {
            out: Windows {
                categories: vec![Names::default(); recipes.len()],
                ..Windows::default()
            },
            events: vec![Vec::new(); recipes.len()],
            recipes,
            task,
            meanings: HashMap::new(),
            asked,
            subject: None,
            environment: Vec::new(),
            first: None,
            last: STATIC,
        }
    }

    /// Whether any column reads texts.
    pub(super) fn needs_texts(task: &MedsTask) -> bool {
        let exact = |code: &String| !is_prefix(code);
        task.columns()
            .any(|(_, _, column)| column.value == Aggregate::Category && column.code.all().iter().any(exact))
    }

    /// The next event.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), DataError> {
        if self.subject != Some(event.subject) {
            self.end_subject()?;
            self.subject = Some(event.subject);
        }
        if let Some(time) = event.time {
            self.first.get_or_insert(time);
            self.last = time;
        }
        if !self.meanings.contains_key(event.code) {
            let meaning = self.meaning(event.code);
            self.meanings.insert(event.code.into(), meaning);
            if self.out.codes.len() < MOST_CODES {
                self.out.codes.insert(event.code.into());
            }
        }
        let Some(meaning) = self.meanings.get(event.code) else {
            return Ok(());
        };
        let time = event.time.unwrap_or(STATIC);
        if let Some(environment) = meaning.environment {
            self.environment.push((time, environment));
        }
        for &(column, category) in &meaning.columns {
            let category = match (category, self.recipes[column].value) {
                (Some(category), _) => category,
                (None, Aggregate::Category) => {
                    let number = event.number.map(|number| number.to_string());
                    match event.text.map(Into::into).or(number) {
                        Some(text) => self.out.categories[column].number(&text),
                        // An event without a text or a number says nothing.
                        None => continue,
                    }
                }
                (None, _) => 0,
            };
            self.events[column].push(Seen {
                time,
                number: event.number.unwrap_or(f32::NAN),
                category,
            });
        }
        Ok(())
    }

    fn meaning(&mut self, code: &str) -> Meaning {
        let rest = |pattern: &'t str| pattern.strip_suffix('*').and_then(|prefix| code.strip_prefix(prefix));
        let mut meaning = Meaning::default();
        let task = self.task;
        for (index, (_, _, column)) in task.columns().enumerate() {
            for pattern in column.code.all() {
                if let Some(rest) = rest(pattern) {
                    let category =
                        (column.value == Aggregate::Category).then(|| self.out.categories[index].number(rest));
                    meaning.columns.push((index, category));
                    break;
                }
                if pattern == code {
                    meaning.columns.push((index, None));
                    break;
                }
            }
        }
        let environment = task.environment.as_deref().and_then(rest);
        meaning.environment = environment.map(|name| self.out.environments.number(name));
        meaning
    }

    fn end_subject(&mut self) -> Result<(), DataError> {
        let samples = self
            .subject
            .and_then(|subject| self.asked.remove(&subject))
            .unwrap_or_default();
        for sample in samples {
            let first = self.first.filter(|&first| first <= sample.time);
            let Some(first) = first else {
                let found = self.first.map_or_else(
                    || "which has no events with a time".into(),
                    |first| format!("before its first event at {}", show_time(first)),
                );
                return Err(DataError::Schema {
                    path: self.task.labels.clone(),
                    reason: format!(
                        "subject {} is predicted at {}, {found}; expected a time at which something is known",
                        sample.subject,
                        show_time(sample.time)
                    ),
                });
            };
            let values = self.window(&self.events, sample.time);
            if self.out.recomputed < PROBES || self.out.samples.len().is_multiple_of(1000) {
                self.without_future(&sample, &values)?;
                self.out.recomputed += 1;
            }
            self.out.values.extend(values);
            let environment = self.environment.iter().rev().find(|(time, _)| *time <= sample.time);
            self.out.environment_of.push(match environment {
                Some((_, environment)) => *environment,
                None => self.out.environments.number("missing"),
            });
            self.out.samples.push(sample);
            let since = self
                .recipes
                .iter()
                .zip(&self.events)
                .filter(|(recipe, _)| recipe.value.unit().is_some());
            let latest = since.map(|(_, events)| {
                let known = events.partition_point(|event| event.time <= sample.time);
                events[..known].last().map_or(STATIC, |event| event.time)
            });
            self.out.ahead.push(Ahead {
                anchors: [first, sample.time].into_iter().chain(latest).collect(),
                last: self.last,
            });
        }
        self.events.iter_mut().for_each(Vec::clear);
        self.environment.clear();
        (self.first, self.last) = (None, STATIC);
        Ok(())
    }

    /// `[position, column]` of the window that ends at `time`.
    fn window(&self, events: &[Vec<Seen>], time: i64) -> Vec<f32> {
        let lookback = self.task.lookback as i64;
        let ends = (0..lookback).map(|position| time - (lookback - 1 - position) * self.task.step.micros);
        let at = |end: i64| {
            let columns = self.recipes.iter().zip(events);
            columns.map(move |(recipe, events)| recipe.at(events, end))
        };
        ends.flat_map(at).collect()
    }

    /// Fails if the window of a sample changes when its future does: later events go, and others come.
    fn without_future(&self, sample: &Sample, values: &[f32]) -> Result<(), DataError> {
        let column = changed_by_the_future(&self.events, sample.time, values, |events| {
            self.window(events, sample.time)
        });
        match column {
            None => Ok(()),
            Some(column) => {
                let name = self.task.columns().nth(column).map_or("", |(_, name, _)| name);
                Err(DataError::Leak(format!(
                    "column `{name}` of subject {} at {} uses later events",
                    sample.subject,
                    show_time(sample.time)
                )))
            }
        }
    }

    /// All windows. Fails for samples whose subject never came.
    pub(crate) fn finish(mut self) -> Result<Windows, DataError> {
        self.end_subject()?;
        if let Some(absent) = self.asked.keys().min() {
            return Err(DataError::Schema {
                path: self.task.labels.clone(),
                reason: format!(
                    "{} subjects have labels but no events, for example {absent}; expected events of every subject",
                    self.asked.len()
                ),
            });
        }
        Ok(self.out)
    }
}

/// The first column whose values differ when events after `time` are replaced by others; `compute` makes a window of a subject's events.
pub(super) fn changed_by_the_future(
    events: &[Vec<Seen>],
    time: i64,
    values: &[f32],
    compute: impl Fn(&[Vec<Seen>]) -> Vec<f32>,
) -> Option<usize> {
    let changed = events.iter().map(|events| {
        let known = events.iter().copied().filter(|event| event.time <= time);
        let invented = Seen {
            time: time + 1,
            number: 1e9,
            category: u32::MAX,
        };
        known.chain([invented]).collect()
    });
    let again = compute(&changed.collect::<Vec<_>>());
    let pairs = values.iter().zip(&again);
    let differs = |(now, then): (&f32, &f32)| now.to_bits() != then.to_bits() && !(now.is_nan() && then.is_nan());
    pairs
        .into_iter()
        .position(differs)
        .map(|place| place % events.len().max(1))
}
