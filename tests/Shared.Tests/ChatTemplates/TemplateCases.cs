using System.Globalization;
using System.Text.Json.Nodes;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Testing;

namespace TokenMill.Shared.Tests.ChatTemplates;

/// <summary>Reference renderings: reading them, and comparing ours.</summary>
internal static class TemplateCases
{
    public static IEnumerable<JsonObject> Read(string file) =>
        File.ReadLines(Reference.Locate(file)).Select(line => JsonNode.Parse(line)!.AsObject());

    public static string Source(JsonObject @case) => File.ReadAllText(Reference.Locate("golden/templates/" + Text(@case["template"])));

    public static IEnumerable<string> AllSources() =>
        Directory.EnumerateFiles(Reference.Locate("golden/templates"), "*.jinja").Order(StringComparer.Ordinal).Select(File.ReadAllText);

    public static string Render(ChatTemplate template, JsonObject @case, JsonArray messages, bool addGenerationPrompt) => template.Render(
        messages, @case["tools"] as JsonArray, addGenerationPrompt, Text(@case["bos_token"]), Text(@case["eos_token"]), @case["extra"] as JsonObject, Now(@case));

    /// <summary>Null when the outcome is the expected one, else what differs.</summary>
    public static string? Difference(JsonObject @case, Func<string> render)
    {
        string? output = null;
        TemplateException? failure = null;
        try
        {
            output = render();
        }
        catch (TemplateException e)
        {
            failure = e;
        }
        if (@case["error"] is not JsonObject error)
            return output == Text(@case["expected"]) ? null : $"{@case["case"]}: expected {@case["expected"]?.ToJsonString()}, got {(failure is null ? JsonValue.Create(output)!.ToJsonString() : failure.Message)}";
        if (failure?.Code != Text(error["kind"])) return $"{@case["case"]}: expected {error["kind"]}, got {failure?.Code ?? "text"}";
        return failure!.Kind == TemplateErrorKind.RaiseException && failure.Message != Text(error["message"]) ? $"{@case["case"]}: expected message {error["message"]}, got {failure.Message}" : null;
    }

    public static DateTimeOffset Now(JsonObject @case) => DateTimeOffset.Parse(Text(@case["now"])!, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);

    public static string? Text(JsonNode? node) => node?.GetValue<string>();
}
