//! Numbers of many runs, over the seeds of each point of the grid.

use std::collections::{BTreeMap, HashMap, HashSet};

use disentangle_analysis::over_seeds;
use disentangle_report::MetricRow;
use serde_json::{Map, Value};

use super::outcome::{NumberName, Point, PointMetric};

/// Numbers of a report that nobody chose.
const FIRST: usize = 12;
/// Numbers of a report, at most.
const MOST_SHOWN: usize = 48;

/// The numbers of a sweep, in the order in which they first occur.
pub(super) struct Numbers {
    /// Metrics to keep; all if empty.
    selected: Vec<String>,
    /// Numbers that are kept, at most.
    most: usize,
    ids: HashMap<NumberName, usize>,
    /// All that are kept.
    pub(super) names: Vec<NumberName>,
    /// All metrics that occurred, kept or not.
    pub(super) metrics: HashSet<String>,
    /// Whether there were more numbers than are kept.
    pub(super) left_out: bool,
}

impl Numbers {
    pub(super) fn new(selected: &[String], most: usize) -> Self {
        Self {
            selected: selected.to_vec(),
            most,
            ids: HashMap::new(),
            names: Vec::new(),
            metrics: HashSet::new(),
            left_out: false,
        }
    }

    /// Opens a point of the grid. `params` holds its values by the configuration's own keys, and `canonical` gives
    /// those of a row.
    pub(super) fn point(&mut self, params: Map<String, Value>, canonical: fn(&str) -> &str) -> Gathered<'_> {
        Gathered {
            numbers: self,
            params,
            canonical,
            own: HashMap::new(),
            values: BTreeMap::new(),
            runs: 0,
        }
    }

    fn id(&mut self, name: &NumberName) -> Option<usize> {
        if !self.metrics.contains(&name.metric) {
            self.metrics.insert(name.metric.clone());
        }
        if !self.selected.is_empty() && !self.selected.contains(&name.metric) {
            return None;
        }
        if let Some(&id) = self.ids.get(name) {
            return Some(id);
        }
        let id = self.names.len();
        if id >= self.most {
            self.left_out = true;
            return None;
        }
        self.ids.insert(name.clone(), id);
        self.names.push(name.clone());
        Some(id)
    }
}

/// The numbers of one point, run by run.
pub(super) struct Gathered<'a> {
    numbers: &'a mut Numbers,
    params: Map<String, Value>,
    canonical: fn(&str) -> &str,
    /// Own keys of rows, by their text.
    own: HashMap<String, Option<String>>,
    /// By number: the value of each run so far, up to the last that has it.
    values: BTreeMap<usize, Vec<Option<f64>>>,
    runs: usize,
}

impl Gathered<'_> {
    /// Adds a run. Of rows with the same name the first counts.
    pub(super) fn add(&mut self, rows: &[MetricRow]) {
        for row in rows {
            let name = self.name(row);
            let Some(id) = self.numbers.id(&name) else {
                continue;
            };
            let values = self.values.entry(id).or_default();
            if values.len() <= self.runs {
                values.resize(self.runs, None);
                values.push(row.value);
            }
        }
        self.runs += 1;
    }

    /// Mean and interval of every number. A run that lacks one counts as a run in which it is undefined.
    pub(super) fn finish(self) -> Vec<PointMetric> {
        let (runs, names) = (self.runs, &self.numbers.names);
        let metrics = self.values.into_iter().map(|(id, mut values)| {
            values.resize(runs, None);
            PointMetric {
                id,
                name: names[id].clone(),
                estimate: over_seeds(&values),
            }
        });
        metrics.collect()
    }

    /// A row's name, without what the point says already: its numbers are the same number at every point.
    fn name(&mut self, row: &MetricRow) -> NumberName {
        let mut name = NumberName::of(row);
        let says = |keys: &[&str], field: Option<&str>| {
            let mut values = keys.iter().filter_map(|key| self.params.get(*key)?.as_str());
            field.is_some_and(|field| values.any(|value| value == field))
        };
        if says(&["model"], name.model.as_deref()) {
            name.model = None;
        }
        if says(&["strategy", "strategies"], name.strategy.as_deref()) {
            name.strategy = None;
        }
        if let Some(text) = &row.params {
            name.params = match self.own.get(text) {
                Some(own) => own.clone(),
                None => {
                    let own = own_keys(text, &self.params, self.canonical);
                    self.own.insert(text.clone(), own.clone());
                    own
                }
            };
        }
        name
    }
}

/// The keys of a row that are not the grid's; `None` if none is left.
fn own_keys(text: &str, point: &Map<String, Value>, canonical: fn(&str) -> &str) -> Option<String> {
    let Ok(Value::Object(keys)) = serde_json::from_str(text) else {
        return Some(text.into());
    };
    let is_own = |key: &str, value: &Value| {
        // A list of one strategy is that strategy.
        let list = || point.get("strategies").filter(|_| key == "strategy");
        let given = point.get(canonical(key)).or_else(list);
        given.is_none_or(|given| !same(given, value))
    };
    let own: Map<String, Value> = keys.into_iter().filter(|(key, value)| is_own(key, value)).collect();
    (!own.is_empty()).then(|| Value::Object(own).to_string())
}

/// 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| b.as_f64() == Some(a))
}

/// What the points of a grid hold of a number.
#[derive(Clone, Default)]
struct Seen {
    points: usize,
    ends: Option<(f64, f64)>,
}

/// The numbers of a report, by their places among all `count`: those of the selected metrics, or the first that every
/// point has and that are not the same everywhere. A point without a run that is done does not count.
pub(super) fn chosen(count: usize, points: &[Point], selected: bool) -> Vec<usize> {
    let mut seen = vec![Seen::default(); count];
    let measured: Vec<&Point> = points.iter().filter(|point| !point.metrics.is_empty()).collect();
    for metric in measured.iter().flat_map(|point| &point.metrics) {
        let seen = &mut seen[metric.id];
        seen.points += 1;
        if let Some(value) = metric.estimate.value {
            let (least, most) = seen.ends.unwrap_or((value, value));
            seen.ends = Some((least.min(value), most.max(value)));
        }
    }
    let numbers = (0..count).filter(|&id| {
        let everywhere = seen[id].points == measured.len();
        let changes = seen[id]
            .ends
            .is_some_and(|(least, most)| least < most || measured.len() == 1);
        selected || (everywhere && changes)
    });
    numbers.take(if selected { MOST_SHOWN } else { FIRST }).collect()
}
