//! A first task for a MEDS dataset, from its own codes: to be read and corrected by somebody who knows the data.

use std::{collections::BTreeMap, path::Path};

use super::{
    Aggregate, Codes, MedsColumn, MedsGroup, MedsTask, Span,
    events::{Reading, parquet_files, stream},
};
use crate::{DataError, Role, tabular::Parts};

/// Codes that get a column of their own, at most.
const MOST_CODES: usize = 20;
/// Different rests of a family of codes, at most, for it to be a category.
const MOST_CATEGORIES: usize = 24;

/// What is known of a code.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    events: u64,
    numbers: u64,
    subjects: u64,
    last: Option<i64>,
}

impl Use {
    fn add(&mut self, subject: i64, number: bool) {
        self.events += 1;
        self.numbers += u64::from(number);
        self.subjects += u64::from(self.last != Some(subject));
        self.last = Some(subject);
    }
}

/// The text of a task: the commonest codes with numbers by their latest value; families of codes (what stands before `//`) without numbers as
/// categories where a subject has about one of few, else counted. Roles are for the reader to fill in.
pub fn propose_task(folder: &Path) -> Result<String, DataError> {
    let mut codes: BTreeMap<String, Use> = BTreeMap::new();
    let mut families: BTreeMap<String, Use> = BTreeMap::new();
    stream(folder, Reading::default(), &mut |event| {
        let family = event.code.split_once("//").map_or(event.code, |(family, _)| family);
        for (map, name) in [(&mut codes, event.code), (&mut families, family)] {
            match map.get_mut(name) {
                Some(known) => known.add(event.subject, event.number.is_some()),
                None => map
                    .entry(name.into())
                    .or_default()
                    .add(event.subject, event.number.is_some()),
            }
        }
        Ok(())
    })?;
    let mut columns: [BTreeMap<String, MedsColumn>; 3] = Default::default();
    let mut numbered: Vec<(&String, &Use)> = codes
        .iter()
        .filter(|(_, code)| 2 * code.numbers > code.events)
        .collect();
    numbered.sort_by_key(|(name, code)| (std::cmp::Reverse(code.subjects), *name));
    for (name, _) in numbered.into_iter().take(MOST_CODES) {
        columns[0].insert(column_name(name), column(name.clone(), Aggregate::Last));
    }
    for (name, family) in families
        .iter()
        .filter(|(_, family)| 2 * family.numbers <= family.events)
    {
        let rests = codes
            .keys()
            .filter(|code| code.starts_with(&format!("{name}//")))
            .count();
        let single = family.events <= 2 * family.subjects;
        match (name.as_str(), rests) {
            ("MEDS_BIRTH", _) => columns[1].insert("age".into(), column(name.clone(), Aggregate::YearsSince)),
            // Deaths are outcomes.
            ("MEDS_DEATH", _) => None,
            (_, 0) => columns[2].insert(column_name(name), column(name.clone(), Aggregate::Count)),
            (_, rests) if single && (2..=MOST_CATEGORIES).contains(&rests) => {
                columns[1].insert(column_name(name), column(format!("{name}//*"), Aggregate::Category))
            }
            _ => columns[2].insert(column_name(name), column(format!("{name}//*"), Aggregate::Count)),
        };
    }
    let names = ["measurements", "attributes", "events"];
    let groups = names
        .into_iter()
        .zip(columns)
        .filter(|(_, columns)| !columns.is_empty());
    let group = |columns| MedsGroup {
        role: Role::Unknown,
        columns,
    };
    let labels = parquet_files(&folder.join("labels"))
        .ok()
        .and_then(|files| files.into_iter().next());
    let found = labels.as_ref().and_then(|file| file.strip_prefix(folder).ok());
    let task = MedsTask {
        labels: found.unwrap_or(Path::new("labels")).into(),
        shortcut: None,
        lookback: 10,
        step: Span::hours(12),
        environment: None,
        parts: Parts::default(),
        groups: groups
            .map(|(name, columns)| (name.to_string(), group(columns)))
            .collect(),
    };
    let text = toml::to_string(&task).map_err(|error| DataError::Schema {
        path: folder.into(),
        reason: error.to_string(),
    })?;
    let missing = match found {
        Some(_) => String::new(),
        None => "# No label files were found below labels/: name a file with subject_id, prediction_time and boolean_value.\n".into(),
    };
    Ok(format!(
        "# A proposal: say what each group is (genuine, spurious, protected), leave out what is known only after the prediction,\n\
         # and name the environment, for example environment = \"HOSPITAL//*\".\n{missing}{text}"
    ))
}

fn column(code: String, value: Aggregate) -> MedsColumn {
    MedsColumn {
        code: Codes::One(code),
        value,
        over: None,
    }
}

/// `lab_glucose_mg_dl` for `LAB//GLUCOSE//mg/dL`.
fn column_name(code: &str) -> String {
    let words = code
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}
