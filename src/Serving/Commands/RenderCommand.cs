using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Commands;

/// <summary><c>render</c>: conversations through a chat template, one answer a line; a template that fails gives an error in that line.</summary>
internal static class RenderCommand
{
    public static Command Command { get; } = new("render", "render TEMPLATE --cases F.jsonl", RunAsync);

    private static async Task<int> RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var cases = arguments.Required("--cases");
        var path = arguments.Positional("TEMPLATE");
        arguments.End();
        if (!File.Exists(path)) throw new RefusedException("file-not-found", $"{path} does not exist", "give the file of a chat template");

        var template = Parse(await File.ReadAllTextAsync(path, cancellationToken));
        await using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)) { NewLine = "\n", AutoFlush = true };
        await foreach (var (line, @case) in CaseFile.Read(cases, cancellationToken))
            await output.WriteLineAsync(Answer(template, @case, line));
        return CommandLineHost.Done;
    }

    private static Func<ChatTemplate> Parse(string source)
    {
        try
        {
            var template = ChatTemplate.Parse(source);
            return () => template;
        }
        catch (TemplateException e)
        {
            return () => throw e;
        }
    }

    private static string Answer(Func<ChatTemplate> template, JsonObject @case, int line)
    {
        try
        {
            var text = template().Render(
                List(@case, "messages", line) ?? [],
                List(@case, "tools", line),
                @case["add_generation_prompt"] is { } add && add.GetValue<bool>(),
                Token(@case, "bos_token", line),
                Token(@case, "eos_token", line),
                @case["extra"] as JsonObject,
                Now(@case, line));
            return $"{{\"output\":{Quote(text)}}}";
        }
        catch (TemplateException e)
        {
            return Refusal(e.Code, e.Message);
        }
        catch (RefusedException e)
        {
            return Refusal(e.Error.Code, e.Error.Message);
        }
        catch (InvalidOperationException e)
        {
            return Refusal("invalid-case", $"line {line}: {e.Message}");
        }
    }

    private static string Refusal(string code, string message) => $"{{\"error\":{{\"code\":{Quote(code)},\"message\":{Quote(message)}}}}}";

    private static JsonArray? List(JsonObject @case, string key, int line) => @case[key] switch
    {
        null => null,
        JsonArray list => list,
        _ => throw new RefusedException("invalid-case", $"line {line}: \"{key}\" is no list"),
    };

    private static string? Token(JsonObject @case, string key, int line) => @case[key] is null ? null : CaseFile.Text(@case, key, line);

    private static DateTimeOffset? Now(JsonObject @case, int line)
    {
        if (@case["now"] is null) return null;
        return DateTimeOffset.TryParse(CaseFile.Text(@case, "now", line), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var now)
            ? now
            : throw new RefusedException("invalid-case", $"line {line}: \"now\" is no ISO 8601 time");
    }

    /// <summary>A JSON string. Half a surrogate pair, which a template can cut out of a case, is written as its escape instead of being replaced.</summary>
    private static string Quote(string text)
    {
        var result = new StringBuilder("\"");
        for (var i = 0; i < text.Length;)
        {
            var start = i;
            while (i < text.Length && (!char.IsSurrogate(text[i]) || char.IsSurrogatePair(text, i))) i += char.IsSurrogate(text[i]) ? 2 : 1;
            result.Append(JsonEncodedText.Encode(text.AsSpan(start, i - start), Json.Options.Encoder));
            if (i < text.Length) result.Append(CultureInfo.InvariantCulture, $"\\u{(int)text[i++]:x4}");
        }
        return result.Append('"').ToString();
    }
}
