//! `dataset validate`: a whole MEDS dataset or a table, checked and described.

use std::path::Path;

use disentangle_data::{
    Dataset, Seed, Split,
    meds::{Contents, MedsTask, validate as validate_meds},
    tabular::{Table, TableSchema},
};

use crate::ExperimentError;

/// Codes that are named, at most.
const CODES: usize = 12;

/// Checks `path` and says what it holds.
pub(super) fn validate(path: &Path, schema: Option<&Path>, task: Option<&Path>) -> Result<String, ExperimentError> {
    if !path.is_dir() {
        let Some(schema) = schema else {
            let reason = format!(
                "{}: needs `--schema FILE`; `dataset describe` proposes one",
                path.display()
            );
            return Err(ExperimentError::Input(reason));
        };
        let schema = TableSchema::read(schema)?;
        let table = Table::read(path, &schema)?;
        let dataset = schema.dataset(&table, &path.display().to_string(), false, Seed::new(0))?;
        return Ok(of_dataset(&dataset));
    }
    let mut text = of_contents(&validate_meds(path)?);
    let own = path.join("task.toml");
    if let Some(file) = task.or(own.is_file().then_some(own.as_path())) {
        let audited = MedsTask::read(file)?.dataset(path, false, Seed::new(0))?;
        text += &format!("\n{}\n", file.display());
        text += &of_dataset(&audited.dataset);
        for check in &audited.checks {
            text += &format!("  {}: {}\n", check.name, check.detail);
        }
    }
    Ok(text)
}

fn of_contents(contents: &Contents) -> String {
    let mut text = format!(
        "a valid MEDS dataset: {} events of {} subjects in {} file(s), {} codes\n",
        contents.events,
        contents.subjects,
        contents.files,
        contents.codes.len()
    );
    if let Some((first, last)) = &contents.span {
        text += &format!("  from {first} to {last}\n");
    }
    let mut codes: Vec<(&String, &u64)> = contents.codes.iter().collect();
    codes.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    for (name, count) in codes.iter().take(CODES) {
        text += &format!("  {name:<36} {count}\n");
    }
    if codes.len() > CODES {
        text += &format!("  and {} other codes\n", codes.len() - CODES);
    }
    match &contents.parts {
        None => text += "  no metadata/subject_splits.parquet: subjects are drawn into parts\n",
        Some(parts) => {
            let shown: Vec<String> = parts
                .iter()
                .map(|(part, count)| format!("{count} {}", part.name()))
                .collect();
            text += &format!("  subjects: {}\n", shown.join(", "));
        }
    }
    for (file, labels, positive) in &contents.labels {
        text += &format!("  {file}: {labels} labels, {positive} of them 1\n");
    }
    text
}

fn of_dataset(dataset: &Dataset) -> String {
    let mut text = format!(
        "  {} windows of {} row(s), {} columns, {} subjects\n",
        dataset.windows.len(),
        dataset.lookback,
        dataset.features.len(),
        dataset.subjects.len()
    );
    for split in Split::PARTS {
        let rows = dataset.part(split);
        let positive = dataset.labels(&rows).iter().filter(|&&y| y > 0.5).count();
        text += &format!("  {:<10} {} windows, {positive} of them 1\n", split.name(), rows.len());
    }
    for group in &dataset.groups {
        let columns: Vec<&str> = group
            .columns
            .iter()
            .map(|&column| dataset.features[column].as_str())
            .collect();
        text += &format!("  {} ({:?}): {}\n", group.name, group.role, columns.join(", "));
    }
    text.extend(dataset.notices.iter().map(|notice| format!("  note: {notice}\n")));
    text
}
