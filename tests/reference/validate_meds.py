#!/usr/bin/env python3
"""Checks a folder with the official `meds` package (0.4) and by the rules of its README.

    python validate_meds.py DIR

Data shards, label files, splits and code metadata are held against their schemas. A table whose only fault is another Arrow type of its
strings (large_string, string_view or a dictionary for string and the like) is told and then aligned with `.align`, which must succeed.
Beyond the schemas: a subject's rows next to each other in one shard, static rows first, times that never go back; one split for every
subject; every code of the data in codes.parquet; dataset.json. Shards are read one at a time, and of each its subjects, times and codes
are kept. Prints counts, or one line for the first failure and exits with 1.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import meds
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from flexible_schema.exceptions import SchemaValidationError


class Failure(Exception):
    pass


def fail(path, reason):
    raise Failure(f"{path}: {' '.join(str(reason).split())}")


def is_text(of):
    if pa.types.is_dictionary(of):
        of = of.value_type
    if pa.types.is_list(of) or pa.types.is_large_list(of):
        of = of.value_type
    return pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_string_view(of)


def read(path):
    try:
        # not read_table, which would take folder names such as split=train for columns
        return pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        fail(path, error)


class Checker:
    def __init__(self, folder):
        self.folder = folder
        self.strict = Counter()
        self.differences = {}

    def table(self, schema, path):
        """Reads a table, validates it strictly, and aligns it where its strings alone are of other types."""
        table = read(path)
        name = schema.__name__
        try:
            schema.validate(table)
            self.strict[name, True] += 1
            return table
        except SchemaValidationError as error:
            wrong = error.mistyped_cols or []
            if error.missing_req_cols or error.disallowed_extra_cols or not wrong or not all(is_text(w) and is_text(g) for _, w, g in wrong):
                fail(path.relative_to(self.folder), f"{name}.validate: {error}")
        except Exception as error:
            fail(path.relative_to(self.folder), f"{name}.validate: {error}")
        found = "; ".join(f"{column} is {got}, wanted {want}" for column, want, got in wrong)
        try:
            table = schema.align(table)
            schema.validate(table)
        except Exception as error:
            fail(path.relative_to(self.folder), f"{name}.validate: {found}; {name}.align: {error}")
        self.strict[name, False] += 1
        self.differences.setdefault(name, Counter())[found] += 1
        return table

    def outcome(self, name):
        """How the tables of one schema did."""
        strict, aligned = self.strict[name, True], self.strict[name, False]
        lines = [f"  {name}.validate: {strict} of {strict + aligned} strictly"]
        lines += [f"  {name}.align: {count} more, whose {found}" for found, count in self.differences.get(name, {}).items()]
        return "\n".join(lines)

    def parquet_files(self, below):
        files = sorted(path for path in (self.folder / below).rglob("*.parquet") if path.is_file())
        if not files:
            fail(below, "holds no Parquet files")
        return files

    # ---------------------------------------------------------------- parts

    def data(self):
        files = self.parquet_files(meds.data_subdirectory)
        owner, codes, rows, static = {}, set(), 0, 0
        for path in files:
            name = path.relative_to(self.folder)
            table = self.table(meds.DataSchema, path)
            rows += len(table)
            static += table["time"].null_count
            codes.update(pc.unique(table["code"]).to_pylist())
            subjects, times = table["subject_id"].combine_chunks(), table["time"].combine_chunks()
            if len(table) > 1:
                before, after = slice_pairs(subjects)
                same = pc.equal(before, after)
                earlier, later = slice_pairs(times)
                # null < everything: a static row after a timed one goes back too
                back = pc.or_(pc.and_(pc.is_valid(earlier), pc.is_null(later)), pc.fill_null(pc.less(later, earlier), False))
                wrong = pc.index(pc.and_(same, back), True).as_py()
                if wrong >= 0:
                    fail(name, f"row {wrong + 2}: time of subject {after[wrong]} goes back from {earlier[wrong]} to {later[wrong]}")
                starts = pa.concat_arrays([subjects[:1], after.filter(pc.invert(same))])
            else:
                starts = subjects
            for subject in starts.to_pylist():
                if subject in owner:
                    where = "apart in this file" if owner[subject] == name else f"in {owner[subject]} too"
                    fail(name, f"subject {subject} has rows {where}")
                owner[subject] = name
        print(f"data: {len(files)} files, {rows} rows ({static} static), {len(owner)} subjects, {len(codes)} codes; in order, each subject in one place")
        print(self.outcome("DataSchema"))
        return owner, codes

    def splits(self, subjects):
        path = self.folder / meds.subject_splits_filepath
        if not path.is_file():
            fail(meds.subject_splits_filepath, "is missing")
        table = self.table(meds.SubjectSplitSchema, path)
        ids = table["subject_id"].to_pylist()
        twice = [subject for subject, count in Counter(ids).items() if count > 1]
        if twice:
            fail(meds.subject_splits_filepath, f"subject {twice[0]} stands more than once")
        absent = subjects.keys() - set(ids)
        if absent:
            fail(meds.subject_splits_filepath, f"says nothing of subject {min(absent)}")
        counts = ", ".join(f"{split} {count}" for split, count in sorted(Counter(table["split"].to_pylist()).items()))
        print(f"splits: {counts}; {len(set(ids) - subjects.keys())} of them without events")
        print(self.outcome("SubjectSplitSchema"))

    def codes(self, codes):
        path = self.folder / meds.code_metadata_filepath
        if not path.is_file():
            fail(meds.code_metadata_filepath, "is missing")
        known = self.table(meds.CodeMetadataSchema, path)["code"].to_pylist()
        absent = codes - set(known)
        if absent:
            fail(meds.code_metadata_filepath, f"says nothing of code {min(absent)!r}")
        print(f"codes: {len(known)} described, {len(set(known) - codes)} of them not in the data")
        print(self.outcome("CodeMetadataSchema"))

    def dataset(self):
        path = self.folder / meds.dataset_metadata_filepath
        try:
            dataset = json.loads(path.read_text(encoding="utf-8"))
            meds.DatasetMetadataSchema.validate(dataset)
            meds.DatasetMetadataSchema(**dataset)
        except Exception as error:
            # the package wraps the JSON schema's error, whose message goes on for pages
            fail(meds.dataset_metadata_filepath, getattr(error.__cause__, "message", None) or error)
        print(f"dataset.json: {dataset.get('dataset_name')} {dataset.get('dataset_version')}, MEDS {dataset.get('meds_version')}")

    def labels(self, subjects):
        if not (self.folder / "labels").is_dir():
            print("labels: no folder")
            return
        for path in self.parquet_files("labels"):
            table = self.table(meds.LabelSchema, path)
            ids = table["subject_id"].to_pylist()
            values = [name for name in table.column_names if name.endswith("_value")]
            if not values:
                fail(path.relative_to(self.folder), "has no column with values")
            counts = "; ".join(f"{name} {shown(table[name])}" for name in values)
            stray = len(set(ids) - subjects.keys())
            print(f"{path.relative_to(self.folder)}: {len(ids)} labels of {len(set(ids))} subjects ({stray} without events); {counts}")
        print(self.outcome("LabelSchema"))


def slice_pairs(array):
    return array[:-1], array[1:]


def shown(column):
    counts = Counter(column.to_pylist())
    return ", ".join(f"{value}: {count}" for value, count in sorted(counts.items())) if len(counts) <= 10 else f"{len(counts)} values"


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: validate_meds.py DIR")
    checker = Checker(Path(sys.argv[1]))
    try:
        subjects, codes = checker.data()
        checker.splits(subjects)
        checker.codes(codes)
        checker.dataset()
        checker.labels(subjects)
    except Failure as failure:
        print(f"FAILED {failure}")
        sys.exit(1)
    aligned = sum(count for (_, strict), count in checker.strict.items() if not strict)
    print("valid" if aligned == 0 else f"valid after alignment of {aligned} tables")


if __name__ == "__main__":
    main()
