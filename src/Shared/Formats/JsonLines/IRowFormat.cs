using System.Buffers;
using System.Text.Json;

namespace TokenMill.Shared.Formats.JsonLines;

/// <summary>What JSON rows of one format must hold, and how they read as the rows that everything downstream knows.</summary>
internal interface IRowFormat
{
    /// <summary>Judges a row that is strict JSON.</summary>
    void Check(JsonElement row, RowFindings findings);

    /// <summary>
    /// Writes a good row in its canonical form: conversations as {"messages","tools"}, preferences as {"prompt","chosen","rejected","tools"} of messages.
    /// False where the row is canonical as it stands.
    /// </summary>
    bool Rewrite(JsonElement row, IBufferWriter<byte> target);

    /// <summary>Text of the last row; empty where rows are no text.</summary>
    RowText Text { get; }
}
