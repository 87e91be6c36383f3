//! A finished run in an MLflow tracking server, through its REST interface 2.0.
//!
//! The server needs a database as its store, which is MLflow's default: in a store of files a metric cannot lie below
//! another.

mod client;
mod names;

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{Exported, ReportError, Scalar, exported::plain};
use client::{Access, Failure, Server};
use names::{batches, names};

/// First pause after a refusal.
const PAUSE: Duration = Duration::from_secs(1);
/// Entries of one request, by MLflow's rules.
const MOST_METRICS: usize = 1000;
const MOST_OTHERS: usize = 100;
/// Characters of a parameter, by MLflow's rules.
const LONGEST_VALUE: usize = 6000;
/// The tag by which a run is found again.
const ID: &str = "disentangle.run";

/// One experiment of a tracking server.
pub struct Mlflow {
    runtime: Runtime,
    server: Server,
    experiment: String,
}

/// A run that the server holds now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Where to look at it.
    pub link: String,
    /// What is not as one might expect; a sentence each.
    pub notes: Vec<String>,
}

/// Fails with a sentence if this is no address of a tracking server; asks nobody.
pub fn check_mlflow_uri(uri: &str) -> Result<(), ReportError> {
    client::address(uri).map(|_| ())
}

impl Mlflow {
    /// Looks an experiment up by its name, and creates it if need be.
    ///
    /// Credentials are those in the URI, or in the environment: `MLFLOW_TRACKING_USERNAME` with
    /// `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`. A request has a time limit of 30 seconds (files: 5
    /// minutes), and is made up to four times if there is no answer, or one with status 429 or 5xx.
    pub fn open(uri: &str, experiment: &str) -> Result<Self, ReportError> {
        Self::on(Server::new(uri, Access::from_environment(), PAUSE)?, experiment)
    }

    fn on(server: Server, name: &str) -> Result<Self, ReportError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| server.error(&error.to_string()))?;
        let experiment = runtime.block_on(server.persist(|| experiment_id(&server, name)))?;
        Ok(Self {
            runtime,
            server,
            experiment,
        })
    }

    /// Puts a run and its seeds into the experiment: parameters, tags, every number, the report, `metrics.json` and the
    /// figures.
    ///
    /// A run that is there already is brought up to date; there is never a second one. Seeds become runs below that of
    /// the whole. A run that could not be written to its end is marked as failed, until it is exported again.
    pub fn export(&self, run: &Exported) -> Result<Recorded, ReportError> {
        let mut notes = Vec::new();
        let id = self.runtime.block_on(async {
            let id = self.record(run, None, &mut notes).await?;
            for part in &run.parts {
                self.record(part, Some(&id), &mut notes).await?;
            }
            Ok::<_, ReportError>(id)
        })?;
        let (server, experiment) = (self.server.shown(), &self.experiment);
        Ok(Recorded {
            link: format!("{server}/#/experiments/{experiment}/runs/{id}"),
            notes,
        })
    }

    async fn record(
        &self,
        run: &Exported,
        parent: Option<&str>,
        notes: &mut Vec<String>,
    ) -> Result<String, ReportError> {
        let server = &self.server;
        let found = server
            .persist(|| find_or_create(server, &self.experiment, run, parent))
            .await?;
        let update = |status: &str| {
            let ended = run.ended.timestamp_millis();
            json!({"run_id": found.id, "status": status, "end_time": ended, "run_name": run.name})
        };
        if let Err(error) = fill(server, run, &found, parent, notes).await {
            // Half of a run must not look like a whole one; its own failure adds nothing to the error that is reported.
            let _ = server.post("runs/update", &update("FAILED")).await;
            return Err(error);
        }
        let done = update("FINISHED");
        server.persist(|| server.post("runs/update", &done)).await?;
        Ok(found.id)
    }
}

/// A run of the server's.
struct Found {
    id: String,
    artifact_uri: String,
}

async fn experiment_id(server: &Server, name: &str) -> Result<String, Failure> {
    let id = |document: &Value| {
        let id = document["experiment_id"].as_str().map(ToString::to_string);
        id.ok_or_else(|| Failure::lasting("an experiment without `experiment_id`; expected an MLflow tracking server"))
    };
    match server.get("experiments/get-by-name", "experiment_name", name).await {
        Ok(answer) if answer["experiment"]["lifecycle_stage"] == "deleted" => Err(Failure::lasting(format!(
            "experiment `{name}` is deleted; restore it, or name another one with `--experiment-name`"
        ))),
        Ok(answer) => id(&answer["experiment"]),
        Err(failure) if failure.code == "RESOURCE_DOES_NOT_EXIST" => {
            match server.post("experiments/create", &json!({ "name": name })).await {
                Ok(answer) => id(&answer),
                // Somebody else created it in between.
                Err(failure) if failure.code == "RESOURCE_ALREADY_EXISTS" => Err(Failure {
                    passing: true,
                    ..failure
                }),
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    }
}

/// Both in one step, so that a run whose creation was not answered is found when it is asked for again.
async fn find_or_create(
    server: &Server,
    experiment: &str,
    run: &Exported,
    parent: Option<&str>,
) -> Result<Found, Failure> {
    let search = json!({
        "experiment_ids": [experiment],
        "filter": format!("tags.`{ID}` = '{}'", run.id),
        "max_results": 1,
    });
    let found = server.post("runs/search", &search).await?;
    let info = match found["runs"].get(0) {
        Some(run) => run["info"].clone(),
        None => {
            let mut tags = vec![tag(ID, &run.id)];
            tags.extend(parent.map(|parent| tag("mlflow.parentRunId", parent)));
            let create = json!({
                "experiment_id": experiment,
                "run_name": run.name,
                "start_time": run.started.timestamp_millis(),
                "tags": tags,
            });
            server.post("runs/create", &create).await?["run"]["info"].clone()
        }
    };
    let text = |key: &str| info[key].as_str().map(ToString::to_string);
    match text("run_id") {
        Some(id) => Ok(Found {
            id,
            artifact_uri: text("artifact_uri").unwrap_or_default(),
        }),
        None => Err(Failure::lasting(
            "a run without `run_id`; expected an MLflow tracking server",
        )),
    }
}

fn tag(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value})
}

/// Everything but the status.
async fn fill(
    server: &Server,
    run: &Exported,
    found: &Found,
    parent: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<(), ReportError> {
    let content = [
        ("tags", tags(run, parent), MOST_OTHERS),
        ("params", parameters(run, notes), MOST_OTHERS),
        ("metrics", metrics(run), MOST_METRICS),
    ];
    for (kind, entries, most) in content {
        for batch in batches(entries, most) {
            let body = json!({"run_id": found.id, kind: batch});
            server.persist(|| server.post("runs/log-batch", &body)).await?;
        }
    }
    let Some(store) = server.stored_at(&found.artifact_uri) else {
        // Without the run's own end, so that the runs of a sweep say the same.
        let root = found.artifact_uri.split(&found.id).next().unwrap_or_default();
        notes.push(format!(
            "report and figures stay in the run's folder: the server's artifacts lie at {root}, which it does not serve"
        ));
        return Ok(());
    };
    for name in artifacts(&run.folder)? {
        let path = run.folder.join(&name);
        let content = fs::read(&path).map_err(|error| ReportError::read(&path, error))?;
        let target = format!("{store}/{name}");
        server
            .persist(|| server.put(&target, content_type(&name), &content))
            .await?;
    }
    Ok(())
}

fn tags(run: &Exported, parent: Option<&str>) -> Vec<Value> {
    let ours = run
        .tags
        .iter()
        .map(|(key, value)| tag(&format!("disentangle.{key}"), value));
    let mut tags: Vec<Value> = ours.collect();
    tags.push(tag(ID, &run.id));
    tags.push(tag("mlflow.source.name", "disentangle"));
    tags.push(tag("mlflow.source.type", "LOCAL"));
    let revision = run.tags.get("git_revision");
    tags.extend(revision.map(|revision| tag("mlflow.source.git.commit", revision)));
    tags.extend(parent.map(|parent| tag("mlflow.parentRunId", parent)));
    tags
}

fn parameters(run: &Exported, notes: &mut Vec<String>) -> Vec<Value> {
    let names = names(run.parameters.keys().map(String::as_str));
    let mut entries = Vec::new();
    for (key, value) in &run.parameters {
        let value = plain(value);
        let shown: String = value.chars().take(LONGEST_VALUE).collect();
        if shown.len() < value.len() {
            notes.push(format!(
                "parameter `{key}` was cut to the {LONGEST_VALUE} characters that MLflow takes"
            ));
        }
        entries.push(tag(&names[key.as_str()], &shown));
    }
    entries
}

fn metrics(run: &Exported) -> Vec<Value> {
    let names = names(run.scalars.iter().map(|one| one.name.as_str()));
    let entry = |one: &Scalar| {
        json!({
            "key": names[one.name.as_str()],
            "value": one.value,
            "timestamp": one.time.timestamp_millis(),
            "step": one.step,
        })
    };
    run.scalars.iter().map(entry).collect()
}

/// Files that are worth a look on a server, as names below the run's folder.
fn artifacts(folder: &Path) -> Result<Vec<String>, ReportError> {
    let mut names: Vec<String> = ["report.html", "metrics.json"]
        .into_iter()
        .filter(|name| folder.join(name).is_file())
        .map(Into::into)
        .collect();
    let figures = folder.join("figures");
    if figures.is_dir() {
        let entries = fs::read_dir(&figures).map_err(|error| ReportError::read(&figures, error))?;
        let mut found: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_file())
            .map(|entry| format!("figures/{}", entry.file_name().display()))
            .collect();
        found.sort();
        names.extend(found);
    }
    Ok(names)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
