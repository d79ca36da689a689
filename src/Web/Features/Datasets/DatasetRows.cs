using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Features.Datasets;

/// <summary>One turn of a conversation, for reading.</summary>
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
            rows.Add(new ShownRow(number, [.. JsonNode.Parse(line)!["messages"]!.AsArray().Select(m => Shown(m!))]));
            if (rows.Count == take) break;
        }
        return rows;
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
