"""Lists of any length through ImportRows, chunk by chunk, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from . import v1
from ._services import AsyncImportService, ImportService
from .errors import NotFound

# Far under the message limit with ordinary rows; the server takes 1000.
CHUNK_ROWS = 500


@dataclass
class ImportReport:
    """How an import ended."""

    state: v1.Import
    """The import, with its counts."""
    refused: list[v1.ImportRowResult] = field(default_factory=list)
    """The rows of this run that were refused, with the reason of each."""


def _chunks(rows: Iterable[v1.ImportRow], after: int, size: int) -> Iterator[list[v1.ImportRow]]:
    chunk: list[v1.ImportRow] = []
    for row in rows:
        if row.row <= after:
            continue
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    yield chunk  # The last one, perhaps empty, says `complete`.


def _request(name: str, chunk: list[v1.ImportRow], size: int, **first: Any) -> v1.ImportRowsRequest:
    return v1.ImportRowsRequest(name=name, rows=chunk, complete=len(chunk) < size, **first)


def import_rows(
    service: ImportService, name: str, rows: Iterable[v1.ImportRow], *, display_name: str = "",
    rows_total: int = 0, chunk_rows: int = CHUNK_ROWS,
    progress: Callable[[v1.Import], None] | None = None, timeout: float | None = None,
) -> ImportReport:
    try:
        report = ImportReport(service.get_import(v1.GetImportRequest(name=name), timeout=timeout))
    except NotFound:
        report = ImportReport(v1.Import(name=name))
    if report.state.state == v1.IMPORT_STATE_COMPLETED:
        return report
    for chunk in _chunks(rows, report.state.committed_row, chunk_rows):
        request = _request(name, chunk, chunk_rows, display_name=display_name, rows_total=rows_total)
        answer = service.import_rows(request, timeout=timeout)
        report.state.CopyFrom(getattr(answer, "import"))
        report.refused += [r for r in answer.results if r.outcome == v1.IMPORT_ROW_OUTCOME_FAILED]
        if progress is not None:
            progress(report.state)
    return report


async def import_rows_async(
    service: AsyncImportService, name: str, rows: Iterable[v1.ImportRow], *, display_name: str = "",
    rows_total: int = 0, chunk_rows: int = CHUNK_ROWS,
    progress: Callable[[v1.Import], None] | None = None, timeout: float | None = None,
) -> ImportReport:
    try:
        report = ImportReport(
            await service.get_import(v1.GetImportRequest(name=name), timeout=timeout))
    except NotFound:
        report = ImportReport(v1.Import(name=name))
    if report.state.state == v1.IMPORT_STATE_COMPLETED:
        return report
    for chunk in _chunks(rows, report.state.committed_row, chunk_rows):
        request = _request(name, chunk, chunk_rows, display_name=display_name, rows_total=rows_total)
        answer = await service.import_rows(request, timeout=timeout)
        report.state.CopyFrom(getattr(answer, "import"))
        report.refused += [r for r in answer.results if r.outcome == v1.IMPORT_ROW_OUTCOME_FAILED]
        if progress is not None:
            progress(report.state)
    return report
