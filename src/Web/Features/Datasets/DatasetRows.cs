using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Datasets;

/// <summary>One turn of a conversation, an answer of a pair or a text, for reading.</summary>
public sealed record RowMessage(string Role, string Text, bool IsSupervised);

/// <summary>A good row as it is shown: its place among the good rows and its conversation.</summary>
public sealed record ShownRow(int Number, IReadOnlyList<RowMessage> Messages);

/// <summary>Reads a page of the rows of a version from its file, without holding the file in memory.</summary>
public sealed class DatasetRows(DataDirectory data)
{
    public async Task<IReadOnlyList<ShownRow>> ReadAsync(DatasetVersion version, int skip, int take, CancellationToken cancellationToken)
    {
        var rows = new List<ShownRow>();
        if (version.StorePath is not { } store) return rows;
        var number = 0;
        await foreach (var line in File.ReadLinesAsync(data.Resolve(store), cancellationToken))
        {
            if (++number <= skip) continue;
            rows.Add(new ShownRow(number, [.. Parts(JsonNode.Parse(line)!)]));
            if (rows.Count == take) break;
        }
        return rows;
    }

    /// <summary>A conversation, a prompt with both its answers, or a plain text.</summary>
    private static IEnumerable<RowMessage> Parts(JsonNode row)
    {
        if (row["messages"] is JsonArray messages) return messages.Select(m => Shown(m!));
        if (row["text"] is JsonValue text) return [new RowMessage("text", text.GetValue<string>(), true)];
        return Turns("prompt").Select(turn => turn with { IsSupervised = false })
            .Concat(Turns("chosen").Select(turn => turn with { Role = "chosen answer" }))
            .Concat(Turns("rejected").Select(turn => turn with { Role = "rejected answer", IsSupervised = false }));

        IEnumerable<RowMessage> Turns(string list) => (row[list] as JsonArray ?? []).Select(m => Shown(m!));
    }

    private static RowMessage Shown(JsonNode message)
    {
        var role = message["role"]!.GetValue<string>();
        var text = message["content"] switch
        {
            JsonValue value => value.GetValue<string>(),
            JsonArray parts => string.Concat(parts.Select(p => p?["text"]?.GetValue<string>())),
            _ => "",
        };
        if (message["tool_calls"] is { } calls) text += (text.Length > 0 ? "\n" : "") + calls.ToJsonString(TokenMill.Shared.Json.Options);
        return new RowMessage(role, text, role == "assistant" && message["weight"]?.GetValue<double>() != 0);
    }
}
