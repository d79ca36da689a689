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
    private const int ProgressRecords = 20_000, SampledRecords = 5_000;

    private readonly DatasetReaderOptions _options = options ?? new();
    private readonly RowFindings _findings = new();
    private readonly RowIndex _rows = new();
    private readonly NearDuplicates _nearDuplicates = new();
    private FindingList _errors = null!, _warnings = null!;
    private LeakIndex? _training;
    private DatasetFile? _file;
    private IRowSource? _source;
    private long _goodRows;
    private DatasetReport? _report;

    public static IReadOnlyList<string> Formats { get; } = ["messages", "alpaca", "sharegpt", "preference", "preference-openai", "text", "csv", "tsv", "tokens"];

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
        try
        {
            if (!Try(() => Open(cancellationToken))) yield break;
            DatasetRow? row = null;
            var more = true;
            Action next = () => more = Next(out row);
            while (Try(next) && more)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (row is { } good) yield return good;
            }
            if (!more) Finish();
        }
        finally
        {
            _source?.Dispose();
            _file?.Dispose();
        }
    }

    /// <summary>False if the file was refused as a whole; the report says so.</summary>
    private bool Try(Action step)
    {
        try
        {
            step();
            return true;
        }
        catch (RefusedException e)
        {
            Refuse(new RowFinding(null, null, null, e.Error.Code, e.Error.Remedy.Length == 0 ? e.Error.Message : $"{e.Error.Message}; {e.Error.Remedy}"));
        }
        catch (RefusedFileException e)
        {
            Refuse(e.Finding);
        }
        return false;
    }

    private void Refuse(RowFinding error) => _report = new DatasetReport
    {
        Accepted = false, Format = Format, Encoding = _file?.Encoding ?? "unknown", Rows = null, GoodRows = 0,
        Errors = [error], ErrorCount = 1, Warnings = [], WarningCount = 0, Codes = new Dictionary<string, long> { [error.Code] = 1 },
    };

    private void Open(CancellationToken cancellationToken)
    {
        if (_options.Format == "auto") Format = FormatGuess.Of(path, _options, cancellationToken);
        else Format = Formats.Contains(_options.Format) ? _options.Format : throw new RefusedException("format-not-supported", $"the format '{_options.Format}' is not known", $"choose one of {string.Join(", ", Formats)}");
        if (_options.Against is { } training) _training = ReadTraining(training, cancellationToken);
        _file = DatasetFile.Open(path, _options.MaxUnpackedBytes, cancellationToken);
        _source = Source(_file.Content);
    }

    private IRowSource Source(Stream content)
    {
        var check = new ContentCheck(_options.Warnings);
        if (Format is "csv" or "tsv") return new CsvRows(content, _options.MaxRecordBytes, Format == "tsv" ? (byte)'\t' : null, _options.Map, check);
        if (Format == "text" && !FormatGuess.IsJson(path, _options)) return new TextDocument(content, _options.MaxRecordBytes, check);
        return new JsonRows(content, _options.MaxRecordBytes, Format switch
        {
            "messages" => new MessagesFormat(check, _options.ContextTokens),
            "alpaca" => new AlpacaFormat(check),
            "sharegpt" => new ShareGptFormat(check),
            "preference" => new PreferenceFormat(check, openAi: false),
            "preference-openai" => new PreferenceFormat(check, openAi: true),
            "text" => new TextFormat(check),
            _ => new TokensFormat(),
        });
    }

    private bool Next(out DatasetRow? row)
    {
        row = null;
        var source = _source!;
        if (!source.Next(_findings)) return false;
        if (source.Rows % ProgressRecords == 0) _options.Progress?.Report(source.Rows);
        if (source.Rows == SampledRecords) Reserve((long)(SampledRecords * 1.05 / _file!.Progress));
        if (_options.Warnings && !_findings.HasErrors) Compare(source);
        foreach (var error in _findings.Errors) _errors.Add(error);
        if (_findings.HasErrors) return true;
        if (_options.Warnings)
            foreach (var warning in _findings.Warnings) _warnings.Add(warning);
        _goodRows++;
        row = new DatasetRow(_findings.Row, _findings.Record, source.Hash, source.Utf8);
        return true;
    }

    /// <summary>The tables take their size once, judged by the first rows.</summary>
    private void Reserve(long expectedRows)
    {
        if (!_options.Warnings) return;
        _rows.Reserve(expectedRows);
        _nearDuplicates.Reserve(expectedRows);
    }

    /// <summary>With the rows before, and with the training file.</summary>
    private void Compare(IRowSource source)
    {
        if (!_rows.TryAdd(source.Hash, _findings.Row, out var earlier))
            _findings.Warn(null, "duplicate", $"the same as row {earlier:N0}; remove one, unless it shall count twice", ofRow: earlier);
        else if (_nearDuplicates.Add(source.Text.All, _findings.Row) is var (similar, similarity))
            _findings.Warn(null, "near-duplicate", $"almost the same as row {similar:N0} ({similarity:P0} of its 5-grams); remove one, unless both shall count", ofRow: similar);
        _training?.Check(source.Text.Keys(source.Hash), _findings);
    }

    private void Finish()
    {
        if (_source!.Rows == 0)
        {
            Refuse(new RowFinding(null, null, null, "no-rows", $"{_source.WhyEmpty}; choose a file with at least one row"));
            return;
        }
        var codes = new SortedDictionary<string, long>(_errors.Codes, StringComparer.Ordinal);
        foreach (var (code, count) in _warnings.Codes) codes[code] = count;
        _report = new DatasetReport
        {
            Accepted = _goodRows > 0, Format = Format, Encoding = _file!.Encoding, Rows = _source.Rows, GoodRows = _goodRows,
            Errors = _errors.Kept, ErrorCount = _errors.Count, Warnings = _warnings.Kept, WarningCount = _warnings.Count, Codes = codes,
        };
    }

    private LeakIndex ReadTraining(string training, CancellationToken cancellationToken)
    {
        var index = new LeakIndex();
        var reader = new DatasetReader(training, _options with { Against = null, Warnings = false, Progress = null });
        foreach (var row in reader.Rows(cancellationToken)) index.Add(reader._source!.Text.Keys(row.Hash), row.Row);
        if (!reader.Report.Accepted)
            throw new RefusedException("training-file-refused", $"the training file to compare with has no good row: {reader.Report.Errors[0].Message}", "choose the file that the model is trained with");
        return index;
    }
}
