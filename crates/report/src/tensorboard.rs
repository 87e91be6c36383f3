//! A finished run as an event file that TensorBoard reads.
//!
//! The same run gives the same bytes: nothing is taken from the clock. Scalars are 32-bit there, as everywhere in
//! TensorBoard.

mod wire;

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{Exported, ReportError, exported::plain, write_file};
use wire::{Message, record};

/// Writes one event file into `folder`, and one into `seed-<n>` below it for each seed of several; returns where they
/// lie.
///
/// Losses stand at the step of their epoch, the numbers of the whole run at step 0, the configuration among the texts,
/// and the parameters of a single seed in the tab of hyperparameters. A number that is not finite in 32 bits is left
/// out. Writing the same run again replaces its file; fails where the folder holds events of another run.
pub fn export_tensorboard(folder: &Path, run: &Exported) -> Result<Vec<PathBuf>, ReportError> {
    let mut written = vec![write_events(folder, run)?];
    for part in &run.parts {
        written.push(write_events(&folder.join(&part.name), part)?);
    }
    Ok(written)
}

fn write_events(folder: &Path, run: &Exported) -> Result<PathBuf, ReportError> {
    fs::create_dir_all(folder).map_err(|error| ReportError::write(folder, error))?;
    let name = file_name(run);
    let entries = fs::read_dir(folder).map_err(|error| ReportError::read(folder, error))?;
    let mut names = entries.flatten().map(|entry| entry.file_name().display().to_string());
    // TensorBoard takes all event files of a folder for one run.
    if let Some(other) = names.find(|other| other.contains("tfevents") && *other != name) {
        return Err(ReportError::Taken {
            path: folder.into(),
            reason: format!("holds the events of another run, {other}"),
        });
    }
    let path = folder.join(name);
    // A name that a TensorBoard which watches the folder does not read.
    let temporary = folder.join("events.part");
    write_file(&temporary, &events(run))?;
    fs::rename(&temporary, &path).map_err(|error| {
        // Its own failure adds nothing to the error that is reported.
        let _ = fs::remove_file(&temporary);
        ReportError::write(&path, error)
    })?;
    Ok(path)
}

/// As TensorBoard knows event files, with a suffix of ours.
fn file_name(run: &Exported) -> String {
    let plain = |letter: char| match letter.is_ascii_alphanumeric() || "-_.".contains(letter) {
        true => letter,
        false => '-',
    };
    let host: String = run.host.chars().map(plain).collect();
    format!("events.out.tfevents.{}.{host}.disentangle", run.started.timestamp())
}

/// The content of the file.
fn events(run: &Exported) -> Vec<u8> {
    let mut out = Vec::new();
    let version = event(run.started, 0).bytes(3, b"brain.Event:2");
    record(&mut out, &version);
    record(&mut out, &text(run.started, "config", &fenced(&run.config)));
    // A run over seeds would be a session that counts its seeds a second time.
    let one_seed = run.parts.is_empty();
    if one_seed {
        record(&mut out, &session_start(run));
    }
    for one in &run.scalars {
        let value = one.value as f32;
        if value.is_finite() {
            record(&mut out, &scalar(one.time, one.step, &one.name, value));
        }
    }
    if one_seed {
        record(&mut out, &session_end(run));
    }
    out
}

/// As Markdown, so that it is shown as it is.
fn fenced(config: &str) -> String {
    format!("```\n{config}```\n")
}

fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1000.0
}

// The numbers of the fields are those of event.proto, summary.proto, tensor.proto and the plugins' plugin_data.proto.

fn event(time: DateTime<Utc>, step: i64) -> Message {
    Message::default().double(1, seconds(time)).integer(2, step)
}

/// An event with a summary of one value.
fn summary(time: DateTime<Utc>, step: i64, value: &Message) -> Message {
    event(time, step).message(5, &Message::default().message(1, value))
}

fn scalar(time: DateTime<Utc>, step: i64, tag: &str, value: f32) -> Message {
    let value = Message::default().bytes(1, tag.as_bytes()).float(2, value);
    summary(time, step, &value)
}

/// A tensor with a tag and the name of the plugin that reads it.
fn tensor(time: DateTime<Utc>, tag: &str, tensor: &Message, plugin: &str, content: &Message) -> Message {
    const DATA_CLASS_TENSOR: i64 = 2;
    let mut data = Message::default().bytes(1, plugin.as_bytes());
    if !content.content().is_empty() {
        data = data.message(2, content);
    }
    let metadata = Message::default().message(1, &data).integer(4, DATA_CLASS_TENSOR);
    let value = Message::default().bytes(1, tag.as_bytes());
    summary(time, 0, &value.message(8, tensor).message(9, &metadata))
}

fn text(time: DateTime<Utc>, tag: &str, text: &str) -> Message {
    const DT_STRING: i64 = 7;
    let shape = Message::default().message(2, &Message::default().integer(1, 1));
    let value = Message::default().integer(1, DT_STRING).message(2, &shape);
    let value = value.bytes(8, text.as_bytes());
    tensor(time, tag, &value, "text", &Message::default())
}

/// Data of the plugin for hyperparameters, which lie in the metadata of an empty tensor.
fn session(time: DateTime<Utc>, tag: &str, field: u32, data: &Message) -> Message {
    const DT_FLOAT: i64 = 1;
    let shape = Message::default().message(2, &Message::default());
    let empty = Message::default().integer(1, DT_FLOAT).message(2, &shape);
    tensor(time, tag, &empty, "hparams", &Message::default().message(field, data))
}

fn session_start(run: &Exported) -> Message {
    let mut data = Message::default();
    for (name, value) in &run.parameters {
        let value = match value {
            Value::Bool(value) => Message::default().boolean(4, *value),
            Value::Number(number) if let Some(number) = number.as_f64() => Message::default().double(2, number),
            other => Message::default().bytes(3, plain(other).as_bytes()),
        };
        let entry = Message::default().bytes(1, name.as_bytes()).message(2, &value);
        data = data.message(1, &entry);
    }
    let data = data.bytes(4, run.group.as_bytes()).double(5, seconds(run.started));
    session(run.started, "_hparams_/session_start_info", 3, &data)
}

fn session_end(run: &Exported) -> Message {
    const STATUS_SUCCESS: i64 = 1;
    let data = Message::default()
        .integer(1, STATUS_SUCCESS)
        .double(2, seconds(run.ended));
    session(run.ended, "_hparams_/session_end_info", 4, &data)
}

#[cfg(test)]
mod tests;
