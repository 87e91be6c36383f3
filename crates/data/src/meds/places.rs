//! Where the values of windows stand in a dataset.

use std::collections::BTreeMap;

use super::{MedsTask, events::moment, labels::Sample, window::Windows};
use crate::{Split, Window};

/// Windows as rows of a dataset, which are ordered by time, whatever the order of the files.
pub(super) struct Places<'w> {
    windows: &'w Windows,
    lookback: usize,
    /// Columns of the task.
    width: usize,
    /// Samples in the order of their windows.
    pub(super) order: Vec<usize>,
}

impl<'w> Places<'w> {
    pub(super) fn new(task: &MedsTask, windows: &'w Windows) -> Self {
        let mut order: Vec<usize> = (0..windows.samples.len()).collect();
        order.sort_by_key(|&sample| (windows.samples[sample].time, windows.samples[sample].subject));
        Self {
            windows,
            lookback: task.lookback,
            width: task.columns().count(),
            order,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.order.len() * self.lookback
    }

    /// The sample to whose window a row belongs.
    pub(super) fn sample(&self, row: usize) -> &'w Sample {
        &self.windows.samples[self.order[row / self.lookback]]
    }

    /// NaN where missing; a category's number.
    pub(super) fn value(&self, row: usize, column: usize) -> f32 {
        let (sample, position) = (self.order[row / self.lookback], row % self.lookback);
        self.windows.values[(sample * self.lookback + position) * self.width + column]
    }

    pub(super) fn category(&self, row: usize, column: usize) -> Option<&'w str> {
        let value = self.value(row, column);
        let names = &self.windows.categories[column].names;
        names
            .get(value as usize)
            .map(String::as_str)
            .filter(|_| !value.is_nan())
    }

    pub(super) fn environments(&self) -> Vec<String> {
        let names = &self.windows.environments.names;
        match names.is_empty() {
            true => vec!["all".to_string()],
            false => names.clone(),
        }
    }

    /// Names of subjects, and a window a sample.
    pub(super) fn windows(&self, part: impl Fn(&Sample) -> Split) -> (Vec<String>, Vec<Window>) {
        let mut subjects = BTreeMap::new();
        for sample in &self.windows.samples {
            let next = subjects.len() as u32;
            subjects.entry(sample.subject).or_insert(next);
        }
        let mut names = vec![String::new(); subjects.len()];
        for (subject, place) in &subjects {
            names[*place as usize] = subject.to_string();
        }
        let windows = self.order.iter().enumerate().map(|(place, &sample)| {
            let one = &self.windows.samples[sample];
            Window {
                start: place * self.lookback,
                target: place,
                time: moment(one.time).unwrap_or_default(),
                subject: subjects[&one.subject],
                environment: self.windows.environment_of[sample],
                label: one.label,
                shortcut: one.shortcut,
                split: part(one),
            }
        });
        (names, windows.collect())
    }
}
