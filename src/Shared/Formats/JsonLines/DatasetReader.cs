using System.Text.Json;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Reads a data set of any size as a stream, row by row, in flat memory. Good rows are handed out as they come; what is wrong with
/// the others, and what is worth knowing about all, stands in <see cref="Report"/> once the rows have been read to the end.
/// A file that is refused as a whole may be found out only there (a JSON array that breaks off), so whoever stores rows keeps them
/// only if the report accepts.
/// </summary>
public sealed class DatasetReader(string path, DatasetReaderOptions? options = null)
{
    private const int GuessRecords = 100, ProgressRecords = 20_000, SampledRecords = 5_000;

    private readonly DatasetReaderOptions _options = options ?? new();
    private readonly StrictJson _json = new();
    private readonly RowFindings _findings = new();
    private readonly RowIndex _rows = new();
    private readonly NearDuplicates _nearDuplicates = new();
    private FindingList _errors = null!, _warnings = null!;
    private IRowFormat _format = null!;
    private LeakIndex? _training;
    private DatasetReport? _report;

    public DatasetReport Report => _report ?? throw new InvalidOperationException("the rows have not been read to the end");

    /// <summary>The format that the rows have; known once the first row is read.</summary>
    public string Format { get; private set; } = "messages";

    /// <summary>Reads everything for the report alone.</summary>
    public static DatasetReport Check(string path, DatasetReaderOptions? options = null, CancellationToken cancellationToken = default)
    {
        var reader = new DatasetReader(path, options);
        foreach (var _ in reader.Rows(cancellationToken)) { }
        return reader.Report;
    }

    /// <summary>The good rows. Read once; afterwards see <see cref="Report"/>.</summary>
    public IEnumerable<DatasetRow> Rows(CancellationToken cancellationToken = default)
    {
        _errors = new FindingList(_options.MaxFindings);
        _warnings = new FindingList(_options.MaxFindings);
        var source = new Source();
        try
        {
            if (!Try(() => Open(source, cancellationToken), source)) yield break;
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                DatasetRow? row = null;
                var more = false;
                if (!Try(() => more = Next(source, out row), source)) yield break;
                if (!more) break;
                if (row is { } good) yield return good;
            }
            Finish(source);
        }
        finally
        {
            source.Dispose();
        }
    }

    private sealed class Source : IDisposable
    {
        public DatasetFile? File;
        public RecordReader? Records;
        public string Encoding = "unknown";
        public long GoodRows;

        public void Dispose()
        {
            Records?.Dispose();
            File?.Dispose();
        }
    }

    /// <summary>False if the file was refused as a whole; the report says so.</summary>
    private bool Try(Action step, Source source)
    {
        try
        {
            step();
            return true;
        }
        catch (RefusedException e)
        {
            var error = new RowFinding(null, null, null, e.Error.Code, e.Error.Remedy.Length == 0 ? e.Error.Message : $"{e.Error.Message}; {e.Error.Remedy}");
            _report = new DatasetReport
            {
                Accepted = false, Format = Format, Encoding = source.Encoding, Rows = null, GoodRows = 0,
                Errors = [error], ErrorCount = 1, Warnings = [], WarningCount = 0, Codes = new Dictionary<string, long> { [error.Code] = 1 },
            };
            return false;
        }
    }

    private void Open(Source source, CancellationToken cancellationToken)
    {
        Format = _options.Format == "auto" ? Guess(cancellationToken) : _options.Format;
        _format = Format switch
        {
            "messages" => new MessagesFormat(new ContentCheck(), _options.ContextTokens),
            "tokens" => new TokensFormat(),
            _ => throw new RefusedException("format-not-supported", $"rows of the format {Format} cannot be trained yet", "write each row as {\"messages\": [{\"role\", \"content\"}, …]}"),
        };
        if (_options.Against is { } training) _training = ReadTraining(training, cancellationToken);
        source.File = DatasetFile.Open(path, _options.MaxUnpackedBytes, cancellationToken);
        source.Encoding = source.File.Encoding;
        source.Records = new RecordReader(source.File.Content, _options.MaxRecordBytes);
    }

    private bool Next(Source source, out DatasetRow? row)
    {
        row = null;
        var records = source.Records!;
        if (!records.Next()) return false;
        if (records.Record % ProgressRecords == 0) _options.Progress?.Report(records.Record);
        if (records.Record == SampledRecords) Reserve((long)(SampledRecords * 1.05 / source.File!.Progress));
        _findings.Begin(records.Row, records.Record);
        if (records.TooLong)
        {
            _findings.Error(null, "line-too-long", $"the row is longer than {_options.MaxRecordBytes:N0} bytes, the limit for one row; split it");
        }
        else if (_json.Check(records.Bytes.Span) is { } fault)
        {
            // In an array, what does not parse breaks the whole document.
            if (fault.Code == "invalid-json" && records.Layout != RecordLayout.Lines)
                throw new RefusedException("invalid-json", $"row {records.Row:N0}, which begins on line {records.Line:N0}: {fault.Message}", "nothing was imported");
            _findings.Error(fault.Field, fault.Code, fault.Message);
        }
        else
        {
            CheckContent(records);
        }
        foreach (var error in _findings.Errors) _errors.Add(error);
        if (_options.Warnings)
            foreach (var warning in _findings.Warnings) _warnings.Add(warning);
        if (_findings.HasErrors) return true;
        source.GoodRows++;
        row = new DatasetRow(records.Row, records.Record, _json.Hash, records.Bytes);
        return true;
    }

    /// <summary>The tables take their size once, judged by the first rows.</summary>
    private void Reserve(long expectedRows)
    {
        if (!_options.Warnings) return;
        _rows.Reserve(expectedRows);
        _nearDuplicates.Reserve(expectedRows);
    }

    private void CheckContent(RecordReader records)
    {
        using var document = JsonDocument.Parse(records.Bytes, new JsonDocumentOptions { MaxDepth = StrictJson.MaxDepth });
        _format.Check(document.RootElement, _findings);
        if (!_options.Warnings || _findings.HasErrors) return;
        if (!_rows.TryAdd(_json.Hash, records.Row, out var earlier))
            _findings.Warn(null, "duplicate", $"the same as row {earlier:N0}; remove one, unless it shall count twice", ofRow: earlier);
        else if (_nearDuplicates.Add(_format.Text, records.Row) is var (similar, similarity))
            _findings.Warn(null, "near-duplicate", $"almost the same as row {similar:N0} ({similarity:P0} of its 5-grams); remove one, unless both shall count", ofRow: similar);
        _training?.Check(_format.Keys(_json.Hash), _findings);
    }

    private void Finish(Source source)
    {
        var rows = source.Records!.Record;
        if (rows == 0)
        {
            Try(() => throw new RefusedException("no-rows", source.Records.Layout == RecordLayout.Array ? "the array is empty" : "the file holds no rows", "choose a file with at least one row"), source);
            return;
        }
        var codes = new SortedDictionary<string, long>(_errors.Codes, StringComparer.Ordinal);
        foreach (var (code, count) in _warnings.Codes) codes[code] = count;
        _report = new DatasetReport
        {
            Accepted = source.GoodRows > 0, Format = Format, Encoding = source.Encoding, Rows = rows, GoodRows = source.GoodRows,
            Errors = _errors.Kept, ErrorCount = _errors.Count, Warnings = _warnings.Kept, WarningCount = _warnings.Count, Codes = codes,
        };
    }

    /// <summary>The format of most of the first rows; a file that is refused for another reason counts as messages.</summary>
    private string Guess(CancellationToken cancellationToken)
    {
        using var file = DatasetFile.Open(path, _options.MaxUnpackedBytes, cancellationToken);
        using var records = new RecordReader(file.Content, _options.MaxRecordBytes);
        var counts = new Dictionary<string, int>();
        for (var n = 0; n < GuessRecords && records.Next(); n++)
        {
            if (records.TooLong || _json.Check(records.Bytes.Span) is not null) continue;
            using var document = JsonDocument.Parse(records.Bytes);
            if (RowShape.Of(document.RootElement) is { } shape) counts[shape] = counts.GetValueOrDefault(shape) + 1;
        }
        if (counts.Count > 0) return counts.MaxBy(c => c.Value).Key;
        return Path.GetExtension(path).ToLowerInvariant() switch { ".csv" or ".tsv" => "csv", ".txt" or ".md" => "text", _ => "messages" };
    }

    private LeakIndex ReadTraining(string training, CancellationToken cancellationToken)
    {
        var index = new LeakIndex();
        var reader = new DatasetReader(training, _options with { Against = null, Warnings = false, Progress = null });
        foreach (var row in reader.Rows(cancellationToken)) index.Add(reader._format.Keys(row.Hash), row.Row);
        if (!reader.Report.Accepted)
            throw new RefusedException("training-file-refused", $"the training file to compare with has no good row: {reader.Report.Errors[0].Message}", "choose the file that the model is trained with");
        return index;
    }
}
