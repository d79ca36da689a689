using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.CommandLine;

/// <summary>A JSON Lines file of cases (<c>--cases F.jsonl</c>); a line that is not a JSON object is refused by its number.</summary>
public static class CaseFile
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    public static async IAsyncEnumerable<(int Line, JsonObject Case)> Read(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (!File.Exists(path)) throw new RefusedException("file-not-found", $"{path} does not exist", "give --cases a JSON Lines file");
        var number = 0;
        await foreach (var line in File.ReadLinesAsync(path, cancellationToken))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line)) yield return (number, Parse(line, number));
        }
    }

    /// <summary>A text of a case. JSON can spell half a surrogate pair, which no string of a model can hold.</summary>
    public static string Text(JsonObject @case, string key, int line)
    {
        try
        {
            if (@case[key] is JsonValue value && value.TryGetValue<string>(out var text)) return text;
        }
        catch (InvalidOperationException e)
        {
            throw new RefusedException(new Error("invalid-text", $"line {line}: \"{key}\" holds half a surrogate pair", "write whole characters"), e);
        }
        throw new RefusedException("invalid-case", $"line {line}: \"{key}\" is missing or no text", $"write {{\"{key}\": \"…\"}}");
    }

    /// <summary>A list of token ids of a case.</summary>
    public static int[] Ids(JsonObject @case, string key, int line)
    {
        try
        {
            if (@case[key] is JsonArray array) return [.. array.Select(id => id!.GetValue<int>())];
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or NullReferenceException)
        {
            throw new RefusedException(new Error("invalid-case", $"line {line}: \"{key}\" holds something that is no token id", "write whole numbers"), e);
        }
        throw new RefusedException("invalid-case", $"line {line}: \"{key}\" is missing or no list", $"write {{\"{key}\": [1, 2, 3]}}");
    }

    public static JsonObject Parse(string line, int number)
    {
        try
        {
            if (JsonNode.Parse(line, documentOptions: Strict) is JsonObject @case) return @case;
        }
        catch (JsonException e)
        {
            throw new RefusedException(new Error("invalid-json", $"line {number} is not JSON: {e.Message}", "write one JSON object a line"), e);
        }
        throw new RefusedException("invalid-case", $"line {number} is no JSON object", "write one JSON object a line");
    }
}
