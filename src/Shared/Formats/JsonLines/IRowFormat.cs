using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>What rows of one format must hold.</summary>
internal interface IRowFormat
{
    /// <summary>Judges a row that is strict JSON.</summary>
    void Check(JsonElement row, RowFindings findings);

    /// <summary>All text of the last row, for comparing rows; empty where rows are no text.</summary>
    ReadOnlySpan<char> Text { get; }

    /// <summary>By what the last row is compared with rows of another file.</summary>
    RowKeys Keys(ulong row);
}
