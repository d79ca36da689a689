using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace TokenMill.Shared.Jobs;

/// <summary>Puts what the JSON reader has against a specification into the words of its fields: which, what it holds, what it may hold.</summary>
internal static partial class SpecMistake
{
    private const int LongestValue = 60;

    public static string Describe(string json, JsonException e)
    {
        var field = e.Path is { Length: > 2 } path ? path[2..] : "";
        if (Unknown().Match(e.Message) is { Success: true } unknown)
        {
            var parent = field.LastIndexOf('.') is > 0 and var dot ? field[..(dot + 1)] : "";
            var name = unknown.Groups[1].Value;
            return $"{(field.EndsWith(name, StringComparison.Ordinal) ? field : parent + name)}: there is no such field";
        }
        if (Missing().Match(e.Message) is { Success: true } missing) return string.Join("; ", missing.Groups[1].Value.Split(',').Select(name => $"{(field.Length > 0 ? field + "." : "")}{name.Trim().Trim('\'')}: missing, and needed"));
        if (Null().Match(e.Message) is { Success: true } empty) return $"{(field.EndsWith(empty.Groups[1].Value, StringComparison.Ordinal) ? field : empty.Groups[1].Value)}: null is no value here; leave the field out for its default";
        if (Twice().Match(e.Message) is { Success: true } twice) return $"{twice.Groups[1].Value}: stands there twice";
        if (field.Length > 0 && Converted().Match(e.Message) is { Success: true } converted) return $"{field}: {ValueAt(json, field)} is not {Kind(converted.Groups[1].Value)}";
        return string.Create(CultureInfo.InvariantCulture, $"line {(e.LineNumber ?? 0) + 1}: not JSON: {e.Message.Split(" LineNumber", 2)[0].Split(" Path:", 2)[0]}");
    }

    private static string Kind(string type)
    {
        if (type.Contains("Dictionary", StringComparison.Ordinal)) return "an object";
        if (type.Contains("Int32", StringComparison.Ordinal) || type.Contains("Int64", StringComparison.Ordinal)) return "a whole number in range";
        if (type.Contains("Double", StringComparison.Ordinal)) return "a number";
        if (type.Contains("Boolean", StringComparison.Ordinal)) return "true or false";
        foreach (var choice in new[] { typeof(TrainingMethod), typeof(Overflow), typeof(LearnedTurns), typeof(NumberFormat) })
            if (type.Contains(choice.Name, StringComparison.Ordinal)) return "one of " + string.Join(", ", Enum.GetValues(choice).Cast<object>().Select(value => JsonSerializer.Serialize(value, choice, Json.Options).Trim('"')));
        if (type.Contains("List", StringComparison.Ordinal)) return "a list of the right kind";
        return type.Contains("Spec", StringComparison.Ordinal) ? "an object" : "a text";
    }

    /// <summary>What stands at the reader's path (names and [n], joined by dots).</summary>
    private static string ValueAt(string json, string field)
    {
        using var document = JsonDocument.Parse(json);
        var value = document.RootElement;
        foreach (Match step in Step().Matches(field))
        {
            if (step.Groups[2].Success && value.ValueKind == JsonValueKind.Array && int.Parse(step.Groups[2].Value, CultureInfo.InvariantCulture) is var index && index < value.GetArrayLength()) value = value[index];
            else if (step.Groups[1].Success && value.ValueKind == JsonValueKind.Object && value.TryGetProperty(step.Groups[1].Value, out var inner)) value = inner;
            else break;
        }
        var text = value.GetRawText();
        return text.Length <= LongestValue ? text : text[..LongestValue] + "…";
    }

    [GeneratedRegex(@"JSON property '([^']*)' could not be mapped")]
    private static partial Regex Unknown();

    [GeneratedRegex(@"missing required properties including: (.*?)\.(?: |$)")]
    private static partial Regex Missing();

    [GeneratedRegex(@"'([^']*)' on type .* null values")]
    private static partial Regex Null();

    [GeneratedRegex(@"[Dd]uplicate property '([^']*)'")]
    private static partial Regex Twice();

    [GeneratedRegex(@"could not be converted to (\S+)")]
    private static partial Regex Converted();

    [GeneratedRegex(@"([^.\[\]]+)|\[(\d+)\]")]
    private static partial Regex Step();
}
