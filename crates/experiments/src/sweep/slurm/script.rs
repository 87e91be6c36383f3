//! What is submitted: a job script, and the list that says which run each task of the array executes.

use std::path::Path;

use super::options::Directive;
use crate::ExperimentError;

/// A job script.
pub(super) struct Script<'a> {
    /// Options of `sbatch`.
    pub(super) directives: &'a [Directive],
    /// A line of shell before the task.
    pub(super) setup: Option<&'a str>,
    /// The list's file.
    pub(super) list: &'a str,
    /// The program that executes a run.
    pub(super) program: &'a str,
    /// Its arguments, up to the run's number.
    pub(super) arguments: &'a [String],
}

impl Script<'_> {
    /// The script's text. It is bash, because `module` and its like are functions that bash hands on to a job.
    pub(super) fn text(&self) -> String {
        let directives: String = self.directives.iter().map(|one| line(one) + "\n").collect();
        let setup = self.setup.map_or_else(String::new, |setup| {
            format!("{{\n{setup}\n}} >>\"$log\" 2>&1 || exit 1\n")
        });
        let words = std::iter::once(self.program).chain(self.arguments.iter().map(String::as_str));
        let task: Vec<String> = words.map(quote).collect();
        format!(
            "#!/bin/bash\n\
             {directives}\
             # Line N + 1 of the list names the run of task N of this job array, and its log.\n\
             tab=$(printf '\\t')\n\
             line=$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" {list}) || exit 1\n\
             index=${{line%%\"$tab\"*}}\n\
             log=${{line#*\"$tab\"}}\n\
             if [ -z \"$index\" ]; then\n  \
             echo \"task $SLURM_ARRAY_TASK_ID has no line in the list\" >&2\n  \
             exit 1\n\
             fi\n\
             {setup}\
             exec {task} \"$index\" >>\"$log\" 2>&1\n",
            list = quote(self.list),
            task = task.join(" "),
        )
    }
}

/// The list's text: a run's number in the manifest, a tab and its log, a line for each task.
pub(super) fn list(runs: &[(usize, String)]) -> String {
    runs.iter().map(|(index, log)| format!("{index}\t{log}\n")).collect()
}

/// `text` as one word of a shell.
pub(super) fn quote(text: &str) -> String {
    if is_plain(text) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A path that a job script and its list can hold.
pub(super) fn text(path: &Path) -> Result<&str, ExperimentError> {
    // A backslash would switch off `%A` and `%a` in the name of a job's output.
    let usable = |text: &&str| {
        !text
            .chars()
            .any(|letter| (letter.is_control() && letter != '\t') || letter == '\\')
    };
    path.to_str().filter(usable).ok_or_else(|| {
        let shown = path.display().to_string();
        let shown = shown.escape_debug();
        ExperimentError::Input(format!(
            "{shown}: cannot stand in a job script; expected a path of UTF-8 without line breaks and backslashes"
        ))
    })
}

/// `path` where `sbatch` replaces `%A` and its like.
pub(super) fn literal(path: &str) -> String {
    path.replace('%', "%%")
}

/// An option as a line of the script; `sbatch` reads quotes and backslashes there much as a shell does.
fn line(directive: &Directive) -> String {
    match &directive.value {
        Some(value) if is_plain(value) => format!("#SBATCH --{}={value}", directive.key),
        Some(value) => {
            let value = value.replace('\\', r"\\").replace('"', "\\\"");
            format!("#SBATCH --{}=\"{value}\"", directive.key)
        }
        None => format!("#SBATCH --{}", directive.key),
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:,=+@%".contains(letter);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [(&str, &str); 12] = [
        ("runs/capacity", "runs/capacity"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", r"'it'\''s'"),
        ("'", r"''\'''"),
        ("$HOME", "'$HOME'"),
        ("`id`", "'`id`'"),
        ("\"x\"", "'\"x\"'"),
        ("a;b&c|d", "'a;b&c|d'"),
        ("~/x*?[1]", "'~/x*?[1]'"),
        ("a\\b\nc", "'a\\b\nc'"),
        ("größe", "'größe'"),
    ];

    #[test]
    fn words_are_quoted() {
        for (word, expected) in WORDS {
            assert_eq!(quote(word), expected, "{word}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_shell_reads_quoted_words_back() {
        for (word, _) in WORDS {
            let command = format!("printf %s {}", quote(word));
            let output = std::process::Command::new("sh")
                .args(["-c", &command])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{command}");
        }
    }

    #[test]
    fn options_become_lines() {
        let switch = Directive {
            key: "exclusive".into(),
            value: None,
        };
        for (directive, expected) in [
            (Directive::new("partition", "gpu"), "#SBATCH --partition=gpu"),
            (switch, "#SBATCH --exclusive"),
            (
                Directive::new("comment", "a \"b\" \\ # $c"),
                r#"#SBATCH --comment="a \"b\" \\ # $c""#,
            ),
            (
                Directive::new("output", literal("/a b/50%/")),
                "#SBATCH --output=\"/a b/50%%/\"",
            ),
        ] {
            assert_eq!(line(&directive), expected);
        }
    }

    #[test]
    fn paths_that_no_script_can_hold_are_sentences() {
        assert_eq!(text(Path::new("/a b/it's")).unwrap(), "/a b/it's");
        for path in ["/a\nb", "/a\\b"] {
            let error = text(Path::new(path)).unwrap_err().to_string();
            assert!(error.contains("cannot stand in a job script"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_script_executes_the_run_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("it's a \"$HOME\" of\ttabs");
        std::fs::create_dir(&folder).unwrap();
        let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
        std::fs::write(path("list"), list(&[(17, path("17.log")), (90, path("90.log"))])).unwrap();
        let run = |task: &str, setup: Option<&str>| {
            let script = Script {
                directives: &[Directive::new("partition", "a b")],
                setup,
                list: &path("list"),
                program: "/bin/echo",
                arguments: &["a  b".into(), "--index".into()],
            };
            let mut command = std::process::Command::new("bash");
            let output = command
                .args(["-c", &script.text()])
                .env("SLURM_ARRAY_TASK_ID", task)
                .output();
            output.unwrap().status.success()
        };
        assert!(run("1", None));
        assert!(run("1", Some("echo set up # first")));
        assert_eq!(
            std::fs::read_to_string(path("90.log")).unwrap(),
            "a  b --index 90\nset up\na  b --index 90\n"
        );
        assert!(!Path::new(&path("17.log")).exists());
        assert!(!run("0", Some("false")), "a line before the task that fails ends it");
        assert_eq!(std::fs::read_to_string(path("17.log")).unwrap(), "");
        assert!(!run("2", None), "the list has no third line");
    }
}
