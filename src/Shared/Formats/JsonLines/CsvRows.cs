using System.Buffers;
using System.Text;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>
/// Rows of a table, each a question and an answer (and a system message) from the columns that the user mapped to these roles;
/// a mapping that was not given is guessed from the usual names. Formulas are text. Record numbers are those a spreadsheet shows: the header is 1.
/// </summary>
internal sealed class CsvRows : IRowSource
{
    private static readonly Dictionary<string, string[]> UsualNames = new()
    {
        ["user"] = ["user", "question", "prompt", "instruction", "query", "input"],
        ["assistant"] = ["assistant", "answer", "response", "completion", "output", "reply"],
        ["system"] = ["system"],
    };

    private readonly CsvReader _table;
    private readonly int _maxRecordBytes;
    private readonly ContentCheck _content;
    private readonly ArrayBufferWriter<byte> _row = new();
    private readonly string[] _columns;
    private readonly Dictionary<string, int> _roles;

    public CsvRows(Stream content, int maxRecordBytes, byte? separator, IReadOnlyDictionary<string, string> map, ContentCheck check)
    {
        (_table, _maxRecordBytes, _content) = (new CsvReader(content, maxRecordBytes, separator), maxRecordBytes, check);
        if (!_table.Next()) (_columns, _roles) = ([], []);
        else
        {
            _columns = [.. Enumerable.Range(0, _table.Cells).Select(i => Encoding.UTF8.GetString(_table.Cell(i)))];
            _roles = Roles(map);
        }
    }

    public long Rows { get; private set; }
    public ReadOnlyMemory<byte> Utf8 => _row.WrittenMemory;
    public ulong Hash { get; private set; }
    public RowText Text { get; } = new();
    public string WhyEmpty => _columns.Length == 0 ? "the file holds no rows" : "there is no record below the header";

    public bool Next(RowFindings findings)
    {
        if (!_table.Next()) return false;
        Rows++;
        findings.Begin(_table.Line, Rows + 1);
        if (_table.UnclosedQuote >= 0) findings.Error(Column(_table.UnclosedQuote), "csv-unclosed-quote", "a quote opened here is never closed, and everything after it was swallowed; close it, or double a quote that is text");
        else if (_table.TooLong) findings.Error(null, "line-too-long", $"the record is longer than {_maxRecordBytes:N0} bytes, the limit for one row; split it, or look for a quote that is never closed");
        else if (_table.Cells != _columns.Length) findings.Error(null, "csv-field-count", $"{_table.Cells} cell{(_table.Cells == 1 ? "" : "s")} instead of {_columns.Length}; {(_table.Cells > _columns.Length ? "a separator inside a cell needs quotes around the cell" : "add the missing cells")}");
        else Record(findings);
        return true;
    }

    public void Dispose() => _table.Dispose();

    private void Record(RowFindings findings)
    {
        for (var i = 0; i < _columns.Length; i++)
        {
            var cell = _table.Cell(i);
            if (!System.Text.Unicode.Utf8.IsValid(cell))
            {
                var at = Utf8Fault.FirstInvalid(cell, out var length);
                findings.Error(_columns[i], "invalid-utf8", $"bytes {Convert.ToHexStringLower(cell.Slice(at, length))} are not UTF-8{Utf8Fault.LikelyEncoding(cell)}; save the file as UTF-8");
                return;
            }
            if (!cell.Contains((byte)0)) continue;
            findings.Error(_columns[i], "nul-character", "the text contains a NUL character, which cannot be stored; remove it");
            return;
        }
        Text.Clear();
        _row.ResetWrittenCount();
        Hash = 0;
        using var conversation = new ConversationWriter(_row);
        foreach (var role in (ReadOnlySpan<string>)["system", "user", "assistant"])
            if (_roles.TryGetValue(role, out var column)) Take(role, column, conversation, findings);
    }

    private void Take(string role, int column, in ConversationWriter conversation, RowFindings findings)
    {
        var cell = Encoding.UTF8.GetString(_table.Cell(column));
        if (string.IsNullOrWhiteSpace(cell))
        {
            if (role != "system") findings.Error(_columns[column], "missing-content", $"{_columns[column]} is empty{(role == "assistant" ? ": nothing to learn" : "")}; fill the cell, or remove the record");
            return;
        }
        var start = Text.Length;
        if (role == "assistant") Text.EndPrompt();
        Text.Append(cell);
        _content.Check(Text.From(start), _columns[column], findings);
        Text.EndMessage(role, start);
        Hash = StableHash.Fold(Hash, StableHash.Of(_table.Cell(column)));
        conversation.Message(role, cell);
    }

    private string? Column(int index) => index < _columns.Length ? _columns[index] : null;

    private Dictionary<string, int> Roles(IReadOnlyDictionary<string, string> map)
    {
        var roles = new Dictionary<string, int>();
        foreach (var (role, column) in map) roles[role] = Find(column);
        foreach (var (role, names) in UsualNames)
        {
            if (roles.ContainsKey(role) || map.Count > 0) continue;
            var name = names.FirstOrDefault(n => _columns.Count(c => Same(c, n)) == 1);
            if (name is not null) roles[role] = Array.FindIndex(_columns, c => Same(c, name));
        }
        foreach (var role in new[] { "user", "assistant" })
            if (!roles.ContainsKey(role))
                throw Refused(null, "csv-column-missing", $"no column is known to hold the {(role == "user" ? "question" : "answer")}; the columns are {Listed}; choose one with --map {role}=COLUMN, and check that the first line is the header");
        return roles;
    }

    private int Find(string column)
    {
        if (_columns.Count(c => c == column) > 1) throw Refused(column, "csv-duplicate-column", $"{_columns.Count(c => c == column)} columns are called `{column}`; rename one");
        var exact = Array.IndexOf(_columns, column);
        if (exact >= 0) return exact;
        if (_columns.Count(c => Same(c, column)) == 1) return Array.FindIndex(_columns, c => Same(c, column));
        throw Refused(column, "csv-column-missing", $"there is no column `{column}`; the columns are {Listed}; choose one of them, and check that the file has its header line");
    }

    private string Listed => string.Join(", ", _columns.Take(20).Select(c => $"`{MessageCheck.Shorten(c)}`"));

    private static bool Same(string left, string right) => left.Trim().Equals(right.Trim(), StringComparison.OrdinalIgnoreCase);

    private static RefusedFileException Refused(string? field, string code, string message) => new(new RowFinding(1, 1, field, code, message));
}
