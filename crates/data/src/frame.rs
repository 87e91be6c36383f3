//! Tables as Parquet.

use std::{fs::File, path::Path};

use polars::prelude::{DataFrame, ParquetWriter};

use crate::DataError;

/// Writes a table by rename: a reader never sees half a file.
pub fn write_frame(path: &Path, frame: &mut DataFrame) -> Result<(), DataError> {
    write_by_rename(path, |file| ParquetWriter::new(file).finish(frame).map(|_| ()))
}

/// Writes a file by rename.
pub(crate) fn write_by_rename(
    path: &Path,
    write: impl FnOnce(File) -> polars::prelude::PolarsResult<()>,
) -> Result<(), DataError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .map_err(|error| error.to_string())
        .and_then(|file| write(file).map_err(|error| error.to_string()))
        .and_then(|()| std::fs::rename(&temporary, path).map_err(|error| error.to_string()));
    written.map_err(|reason| {
        // What is left of the temporary file helps nobody; its own failure to go adds nothing to the message.
        let _ = std::fs::remove_file(&temporary);
        DataError::Write {
            path: path.into(),
            reason,
        }
    })
}
