//! What `squeue` and `sbatch` say.

use std::collections::BTreeMap;

use super::{host::Host, jobs::Job};

/// A task that is in the queue: it waits, runs or is being cleared away.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) job: String,
    pub(super) index: usize,
    pub(super) state: String,
    /// Why it waits, if it does.
    pub(super) reason: String,
}

/// The tasks of `jobs` that are in the queue; what `squeue` said if it cannot tell.
pub(super) fn tasks(host: &dyn Host, jobs: &[&Job]) -> Result<Vec<Task>, String> {
    let mut clusters: BTreeMap<Option<&str>, Vec<&str>> = BTreeMap::new();
    for job in jobs {
        if let Some(id) = &job.id {
            clusters.entry(job.cluster.as_deref()).or_default().push(id);
        }
    }
    let mut found = Vec::new();
    for (cluster, ids) in clusters {
        found.extend(tasks_of(host, cluster, &ids)?);
    }
    Ok(found)
}

fn tasks_of(host: &dyn Host, cluster: Option<&str>, ids: &[&str]) -> Result<Vec<Task>, String> {
    let mut arguments = vec![
        "--noheader".into(),
        "--array".into(),
        format!("--jobs={}", ids.join(",")),
        "--format=%F_%K %T %r".into(),
    ];
    arguments.extend(cluster.map(|name| format!("--clusters={name}")));
    let reply = host.run("squeue", &arguments).map_err(|error| error.to_string())?;
    if reply.success {
        return reply
            .stdout
            .lines()
            .filter_map(|line| parse(line).transpose())
            .collect();
    }
    // Minutes after its end a job is forgotten.
    if !reply.stderr.contains("Invalid job id") {
        return Err(reply.message());
    }
    if ids.len() == 1 {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for &id in ids {
        found.extend(tasks_of(host, cluster, &[id])?);
    }
    Ok(found)
}

/// A line of `squeue`; `None` for one that names no task.
fn parse(line: &str) -> Result<Option<Task>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with("CLUSTER:") {
        return Ok(None);
    }
    let read = || {
        let mut words = line.splitn(3, ' ');
        let (job, task) = words.next()?.split_once('_')?;
        Some(Task {
            job: job.into(),
            index: task.parse().ok()?,
            state: words.next()?.into(),
            reason: words.next().unwrap_or_default().trim().into(),
        })
    };
    read().map(Some).ok_or_else(|| format!("unexpected line `{line}`"))
}

/// The number of the job with this name, if it is in the queue.
pub(super) fn find(host: &dyn Host, name: &str, cluster: Option<&str>) -> Result<Option<String>, String> {
    let mut arguments = vec![
        "--noheader".into(),
        "--me".into(),
        format!("--name={name}"),
        "--format=%F".into(),
    ];
    arguments.extend(cluster.map(|name| format!("--clusters={name}")));
    let reply = host.run("squeue", &arguments).map_err(|error| error.to_string())?;
    if !reply.success {
        return Err(reply.message());
    }
    let mut lines = reply.stdout.lines().map(str::trim);
    Ok(lines.find(|line| is_number(line)).map(Into::into))
}

/// What `sbatch --parsable` prints: a job's number, and its cluster where there are several.
pub(super) fn submitted(stdout: &str) -> Option<(String, Option<String>)> {
    let line = stdout.lines().last()?.trim();
    let (id, cluster) = match line.split_once(';') {
        Some((id, cluster)) => (id, Some(cluster.to_string())),
        None => (line, None),
    };
    is_number(id).then(|| (id.into(), cluster))
}

/// Whether `sbatch` refused a job because there are too many, so that it may take it when others have ended.
pub(super) fn is_full(message: &str) -> bool {
    let signs = [
        "accounting/QOS policy",
        "MaxSubmit",
        "GrpSubmit",
        "queue full",
        "temporarily unable",
        "temporarily disabled",
        "temporarily unavailable",
    ];
    signs.iter().any(|sign| message.contains(sign))
}

/// Whether a task that waits for this reason starts in its time without anybody's help.
pub(super) fn is_ordinary(reason: &str) -> bool {
    let ordinary = [
        "",
        "None",
        "Priority",
        "Resources",
        "BeginTime",
        "Cleaning",
        "Prolog",
        "JobArrayTaskLimit",
        "Dependency",
        "Licenses",
        "Reservation",
    ];
    ordinary.contains(&reason)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_squeue_are_read_or_refused() {
        let check = |line: &str, expected: Option<(&str, usize, &str, &str)>| {
            let expected = expected.map(|(job, index, state, reason)| Task {
                job: job.into(),
                index,
                state: state.into(),
                reason: reason.into(),
            });
            assert_eq!(parse(line), Ok(expected), "{line}");
        };
        check("12_0 PENDING Resources", Some(("12", 0, "PENDING", "Resources")));
        check("12_1000 RUNNING None", Some(("12", 1000, "RUNNING", "None")));
        check(
            "7_3 PENDING Nodes required for job are DOWN, DRAINED",
            Some(("7", 3, "PENDING", "Nodes required for job are DOWN, DRAINED")),
        );
        check("7_3 COMPLETING", Some(("7", 3, "COMPLETING", "")));
        check("", None);
        check("CLUSTER: west", None);
        // Taken for no task these would count as ended.
        for line in [
            "12_[0-3] PENDING None",
            "12_N/A RUNNING None",
            "12 RUNNING None",
            "12_4",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn numbers_of_jobs_are_read() {
        for (stdout, expected) in [
            ("15\n", Some(("15", None))),
            ("15;west\n", Some(("15", Some("west")))),
            ("a note\n15\n", Some(("15", None))),
            ("", None),
            ("Submitted batch job 15\n", None),
        ] {
            let expected: Option<(String, Option<String>)> =
                expected.map(|(id, cluster): (&str, Option<&str>)| (id.into(), cluster.map(Into::into)));
            assert_eq!(submitted(stdout), expected, "{stdout}");
        }
    }

    #[test]
    fn a_full_queue_is_told_from_a_wrong_option() {
        for (message, full) in [
            ("sbatch: error: QOSMaxSubmitJobPerUserLimit", true),
            ("sbatch: error: AssocGrpSubmitJobsLimit", true),
            (
                "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
                true,
            ),
            (
                "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
                true,
            ),
            (
                "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit)",
                true,
            ),
            (
                "sbatch: error: Batch job submission failed: Invalid partition name specified",
                false,
            ),
            (
                "sbatch: error: Batch job submission failed: Requested time limit is invalid (exceeds some limit)",
                false,
            ),
            (
                "sbatch: error: Batch job submission failed: Invalid job array specification",
                false,
            ),
        ] {
            assert_eq!(is_full(message), full, "{message}");
        }
    }
}
