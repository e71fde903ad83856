"""Reading of delimited text files: detection of encoding and delimiter, and checks of the file as a whole."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from pydantic import Field

from churn_kedro.base import Record
from churn_kedro.customers.declaration import CustomerTableError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

READING = "reading"
_DELIMITERS = (",", ";", "\t", "|")
_DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_LEGACY_ENCODING = "cp1252"
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_FOREIGN_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel 97 workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "compressed with gzip",
}
_CONFLICT = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)
_SAMPLE_BYTES = 200_000
_SAMPLE_RECORDS = 50
_BLOCK_BYTES = 1 << 24


class Reading(Record):
    """Detected properties of a file."""

    format: str = Field(description="csv, parquet or excel.")
    encoding: str | None = Field(None, description="Character encoding of a text file.")
    delimiter: str | None = Field(None, description="Name of the delimiter of a text file.")
    byte_order_mark: bool = Field(False, description="The file begins with a byte order mark.")
    line_endings: str | None = Field(None, description="LF, CRLF or CR.")
    quoted_line_breaks: int = Field(0, description="Line breaks within quoted cells.")


def read_delimited(content: bytes, encoding: str | None = None, delimiter: str | None = None) -> pd.DataFrame:
    r"""Read a delimited text file, every cell as unchanged text.

    Args:
        content: The whole file.
        encoding: Character encoding; None detects it: by a byte order mark, else UTF-8, else Windows-1252.
        delimiter: Delimiter; None detects it: the one of comma, semicolon, tab and vertical bar that divides the first
            records most evenly.

    Returns:
        Text columns under the names of the first record, blank cells as empty text; ``attrs["reading"]`` holds the
        detected properties (:class:`Reading`).

    Raises:
        CustomerTableError: The file is not delimited text, has conflict markers of version control, or a record has
            another number of cells than the header; the message states the line.

    Examples:
        >>> table = read_delimited(b"name;income\nAnna;1,5\n")
        >>> table.to_dict("list")
        {'name': ['Anna'], 'income': ['1,5']}
        >>> table.attrs["reading"]["delimiter"], table.attrs["reading"]["encoding"]
        ('semicolon', 'utf-8')
    """
    import pandas as pd
    import pyarrow as pa

    body, found_encoding, marked = _body(content, encoding)
    _refuse_conflict_markers(body)
    sample = body[:_SAMPLE_BYTES].decode("utf-8", errors="ignore")
    separator = delimiter or _find_delimiter(sample)
    header, header_end = _read_header(body, sample, separator)
    records = memoryview(body)[header_end:]
    names = _widen_for_trailing_delimiter(header, sample, separator)
    quoted = body.find(b'"', header_end) >= 0
    table = _divide(records, len(names), separator, quoted, body)
    _refuse_open_quotation(table, body)
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.string(): pd.StringDtype(na_value=float("nan"))}.get)
    frame.columns = pd.Index(names, dtype=object)
    line_breaks = body.count(b"\n") or body.count(b"\r")
    frame.attrs[READING] = Reading(
        format="csv",
        encoding=found_encoding,
        delimiter=_DELIMITER_NAMES.get(separator, separator),
        byte_order_mark=marked,
        line_endings="CRLF" if b"\r\n" in body else "LF" if b"\n" in body else "CR" if b"\r" in body else None,
        quoted_line_breaks=_count_quoted_line_breaks(frame) if quoted and line_breaks > len(frame) else 0,
    ).model_dump()
    return frame


def iterate_delimited(
    file: IO[bytes], encoding: str | None = None, delimiter: str | None = None, block_bytes: int = 1 << 25
) -> Iterator[pd.DataFrame]:
    r"""Read a delimited text file block by block, with the memory of a block.

    Args:
        file: The file, opened for reading.
        encoding: As in :func:`read_delimited`.
        delimiter: As in :func:`read_delimited`; detected in the first block.
        block_bytes: Size of a block; blocks end with a record.

    Yields:
        The records of each block as :func:`read_delimited` returns them. A file with a header only is one block.

    Raises:
        CustomerTableError: As in :func:`read_delimited`; a line number counts from the header of the file as if the
            block followed it.

    Examples:
        >>> parts = iterate_delimited(io.BytesIO(b"id,plan\n1,a\n2,b\n3,c\n"), block_bytes=13)
        >>> [part["id"].tolist() for part in parts]
        [['1'], ['2', '3']]
    """
    block = file.read(block_bytes)
    rest = file.read(block_bytes)
    wide = block.startswith((b"\xff\xfe", b"\xfe\xff")) or "16" in (encoding or "") or "32" in (encoding or "")
    if not rest or wide:
        yield read_delimited(block + rest + file.read(), encoding, delimiter)
        return
    sample = _body(block[: block.rfind(b"\n") + 1] or block, encoding)[0][:_SAMPLE_BYTES]
    separator = delimiter or _find_delimiter(sample.decode("utf-8", errors="ignore"))
    header = block[: _read_header(block, sample.decode("utf-8", errors="ignore"), separator)[1]]
    lines_before, is_first = 0, True
    while block:
        end = _last_record_end(block) if rest else len(block)
        while not end and rest:
            block, rest = block + rest, file.read(block_bytes)
            end = _last_record_end(block) if rest else len(block)
        try:
            yield read_delimited(block[:end] if is_first else header + block[:end], encoding, separator)
        except CustomerTableError as error:
            where = "" if is_first else f" (line numbers count from line {lines_before} of the file)"
            raise CustomerTableError(f"{error}{where}") from error
        lines_before += block.count(b"\n", 0, end)
        block, rest, is_first = block[end:] + rest, file.read(block_bytes), False


def _last_record_end(block: bytes) -> int:
    """Return the position after the last line break that is not within quotation marks; 0 without one."""
    end = len(block)
    quotes = block.count(b'"')
    while True:
        line_break = block.rfind(b"\n", 0, end)
        quotes -= block.count(b'"', line_break + 1, end)
        if line_break < 0 or quotes % 2 == 0:
            return line_break + 1
        end = line_break


def _divide(records: memoryview, n_columns: int, separator: str, quoted: bool, body: bytes) -> pa.Table:
    """Divide text into records and cells.

    Args:
        records: The text below the header.
        n_columns: Cells per record.
        separator: Delimiter.
        quoted: Whether there are quotation marks, within which line breaks belong to a cell.
        body: The whole text, for the line numbers of defects.

    Returns:
        Text columns, named by position.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = [str(position) for position in range(n_columns)]
    if not bytes(records[:_SAMPLE_BYTES]).strip() and not bytes(records).strip():
        return pa.table({name: pa.array([], pa.string()) for name in names})
    broken: list[arrow_csv.InvalidRow] = []

    def collect(row: arrow_csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    def read(*, careful: bool) -> pa.Table:
        return arrow_csv.read_csv(
            pa.py_buffer(records),
            # Each thread gets whole records, so a block must be longer than the longest record.
            read_options=arrow_csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES, use_threads=not careful),
            parse_options=arrow_csv.ParseOptions(
                delimiter=separator, newlines_in_values=quoted, invalid_row_handler=collect if careful else None
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )

    try:
        return read(careful=False)
    except pa.ArrowInvalid as error:
        # Read again on one thread to collect every defect: with threads, Arrow does not call a Python handler reliably.
        with contextlib.suppress(pa.ArrowInvalid):
            read(careful=True)
        if broken:
            _refuse_broken_records(broken, body, n_columns)
        raise CustomerTableError(
            f"The file cannot be divided into records: {error}. The usual reason is a quotation mark that is not "
            "closed: close it, or double it where it belongs to the text."
        ) from error


def read_header(start: bytes, encoding: str | None = None, delimiter: str | None = None) -> list[str]:
    r"""Read the column names of a delimited text file.

    Args:
        start: The first bytes of the file, at least the first record.
        encoding: As in :func:`read_delimited`.
        delimiter: As in :func:`read_delimited`.

    Returns:
        The cells of the first record.

    Raises:
        CustomerTableError: The file is not delimited text.

    Examples:
        >>> read_header(b"id\tage\n1\t41\n")
        ['id', 'age']
    """
    # The chunk may end within a character: cut it at a line break.
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    cut = start[: len(start) // 2 * 2] if wide else start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1] or start
    sample = _body(cut, encoding)[0][:_SAMPLE_BYTES].decode("utf-8", errors="ignore")
    return _records(sample, delimiter or _find_delimiter(sample))[0]


def _body(content: bytes, encoding: str | None) -> tuple[bytes, str, bool]:
    """Return the content as UTF-8, its encoding, and whether it had a byte order mark."""
    _refuse_foreign_format(content)
    body, found_encoding, marked = _as_utf8(content, encoding)
    if not body[:1].strip() and not body.strip():
        raise CustomerTableError("The file has blank lines only, without a header.")
    return body, found_encoding, marked


def _refuse_foreign_format(content: bytes) -> None:
    for start, described in _FOREIGN_FORMATS.items():
        if content.startswith(start):
            raise CustomerTableError(
                f"The file is not delimited text: it is {described}. Rename it to the suffix of its format (.xlsx, "
                ".xls, .parquet), or unpack it."
            )


def _as_utf8(content: bytes, encoding: str | None) -> tuple[bytes, str, bool]:
    """Return the content as UTF-8 without byte order mark, its encoding, and whether there was a mark."""
    for mark, marked_encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            body = content[len(mark) :]
            return (body if marked_encoding == "utf-8" else _decode(body, marked_encoding)), marked_encoding, True
    if encoding is not None:
        return _decode(content, encoding), encoding, False
    if b"\0" in content[:_SAMPLE_BYTES]:
        raise CustomerTableError(
            "The file has zero bytes: it is not text, or UTF-16 without a byte order mark. Save it as UTF-8."
        )
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        # Single-byte encodings cannot be detected reliably from a few accented letters (charset-normalizer confuses
        # Spanish and Polish); the most common one is assumed and reported.
        return _decode(content, _LEGACY_ENCODING), _LEGACY_ENCODING, False
    return content, "utf-8", False


def _decode(content: bytes, encoding: str) -> bytes:
    try:
        return content.decode(encoding).encode("utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        place = ""
        if isinstance(error, UnicodeDecodeError):
            line = content.count(b"\n", 0, error.start) + 1
            place = f" (line {line}, byte {error.start})"
        raise CustomerTableError(
            f"The file cannot be read as {encoding}{place}: {error}. Save it as UTF-8, or name another encoding "
            "(--encoding when onboarding, `encoding` of the catalog entry)."
        ) from error


def _refuse_conflict_markers(text: bytes) -> None:
    # A substring search is many times faster than the regular expression, and rarely has a match.
    if b"<<<<<<<" not in text:
        return
    markers = list(itertools.islice(_CONFLICT.finditer(text), 2))
    if len(markers) == 2:
        line = text.count(b"\n", 0, markers[0].start()) + 1
        raise CustomerTableError(
            f"Line {line} of the file is a conflict marker of version control ({markers[0].group().decode().strip()}). "
            "Resolve the conflict: keep one of the two versions and remove the marker lines."
        )


def _records(sample: str, delimiter: str) -> list[list[str]]:
    """Return the first complete records of a sample."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    records: list[list[str]] = []
    # csv raises for a cell longer than its limit; the records before it are enough.
    with contextlib.suppress(csv.Error):
        records.extend(record for record in itertools.islice(reader, _SAMPLE_RECORDS + 1) if record)
    # The sample may end within a record.
    return records[:-1] if len(records) > 1 and len(sample) >= _SAMPLE_BYTES // 4 else records


def _find_delimiter(sample: str) -> str:
    def evenness(delimiter: str) -> tuple[float, int]:
        widths = [len(record) for record in _records(sample, delimiter)]
        if not widths or widths[0] < 2:
            return 0.0, 0
        regular = sum(abs(width - widths[0]) <= 1 for width in widths) / len(widths)
        return regular, widths[0]

    return max(_DELIMITERS, key=evenness)


def _read_header(body: bytes, sample: str, delimiter: str) -> tuple[list[str], int]:
    """Return the cells of the first record and its end position."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    header = next(record for record in reader if record)
    breaks = re.compile(rb"\r\n|\n|\r")
    end = 0
    for _ in range(reader.line_num):
        line_break = breaks.search(body, end)
        end = line_break.end() if line_break else len(body)
    return header, end


def _widen_for_trailing_delimiter(header: list[str], sample: str, delimiter: str) -> list[str]:
    """Add an unnamed column where every record except for the header ends with a delimiter."""
    following = _records(sample, delimiter)[1:]
    if following and all(len(record) == len(header) + 1 and not record[-1] for record in following):
        return [*header, ""]
    return header


def _refuse_broken_records(broken: list[Any], body: bytes, expected: int) -> None:
    lines = sorted(body.count(b"\n", 0, body.find(row.text.encode())) + 1 for row in broken[:100])
    first = min(broken, key=lambda row: body.find(row.text.encode()))
    raise CustomerTableError(
        f"{len(broken):,} record{'s have' if len(broken) > 1 else ' has'} another number of cells than the header "
        f"({expected}); the first, on line {lines[0]}, has {first.actual_columns}: {first.text[:120]!r}. Quote cells "
        "that contain the delimiter, and remove a title above the header. Correct the lines "
        f"{', '.join(map(str, lines[:5]))}{' …' if len(broken) > 5 else ''}."
    )


def _refuse_open_quotation(table: pa.Table, body: bytes) -> None:
    """Raise if the last cell spans lines because its quotation mark is not closed."""
    if not table.num_rows or body.count(b'"') % 2 == 0:
        return
    last = table.column(table.num_columns - 1)[table.num_rows - 1].as_py()
    if "\n" in last or "\r" in last:
        line = body.count(b"\n", 0, body.rfind(b'"')) + 1
        raise CustomerTableError(
            f"A quotation mark on line {line} of the file is not closed, so that the rest of the file is one cell. "
            "Close it, or double it where it belongs to the text."
        )


def _count_quoted_line_breaks(frame: pd.DataFrame) -> int:
    return int(sum(frame.iloc[:, position].str.count("\n").sum() for position in range(frame.shape[1])))
