//! Tables as Parquet.

use std::{fs::File, path::Path};

use polars::prelude::{DataFrame, ParquetWriter};

use crate::DataError;

/// Writes a table by rename: a reader never sees half a file.
pub fn write_frame(path: &Path, frame: &mut DataFrame) -> Result<(), DataError> {
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = File::create(&temporary)
        .map_err(|error| error.to_string())
        .and_then(|file| {
            ParquetWriter::new(file)
                .finish(frame)
                .map_err(|error| error.to_string())
        })
        .and_then(|_| std::fs::rename(&temporary, path).map_err(|error| error.to_string()));
    written.map_err(|reason| {
        // What is left of the temporary file helps nobody; its own failure to go adds nothing to the message.
        let _ = std::fs::remove_file(&temporary);
        DataError::Write {
            path: path.into(),
            reason,
        }
    })
}
