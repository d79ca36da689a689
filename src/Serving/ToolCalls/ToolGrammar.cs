using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.ToolCalls;

/// <summary>Answers that are calls of given functions and nothing else, as a grammar.</summary>
internal static class ToolGrammar
{
    /// <returns>The name of the rule.</returns>
    /// <exception cref="RefusedException">The parameters of a strict function are no schema, or an unsupported one.</exception>
    public static string AddTo(GrammarRules rules, ToolFormat format, IEnumerable<Tool> tools, bool parallel)
    {
        var one = rules.Add(string.Join(" | ", tools.Select(t => Call(rules, format, t))));
        if (format.IsList) return rules.Add($"{Text(format.Start + "[")} {one} {(parallel ? $"(\",\" ws {one})*" : "")} \"]\"");
        // Llamas call one function at a time.
        return parallel && format.Start.Length > 0 ? rules.Add($"{one} (\"\\n\"? {one})*") : one;
    }

    /// <summary>Reasoning before the answer that a rule describes: it must be there if the prompt has begun it, else it may be.</summary>
    public static string WithThought(GrammarRules rules, string answer, bool begun)
    {
        var thought = Until(rules, ThoughtText.End, $"ws {answer}");
        return begun ? thought : rules.Add($"{Text(ThoughtText.Start)} {thought} | {answer}");
    }

    /// <summary>Any text up to a mark whose first letter it has only once, the mark, and what follows.</summary>
    private static string Until(GrammarRules rules, string mark, string following)
    {
        // As many rules as the mark has letters: the i-th is where i of them have been read.
        var names = mark.Select(_ => rules.Reserve()).ToArray();
        for (var i = 0; i < mark.Length; i++)
        {
            // After a wrong letter the mark begins anew or not at all.
            var next = i + 1 < mark.Length ? names[i + 1] : following;
            var again = i == 0 ? "" : $" | {Text(mark[..1])} {names[1]}";
            var others = i == 0 ? InClass(mark[..1]) : InClass($"{mark[0]}{mark[i]}");
            rules.Define(names[i], $"{Text(mark[i].ToString())} {next}{again} | [^{others}] {names[0]}");
        }
        return names[0];
    }

    private static string InClass(string letters) => letters.Replace("\n", "\\n", StringComparison.Ordinal);

    private static string Call(GrammarRules rules, ToolFormat format, Tool tool)
    {
        if (format.Xml is { } marks) return Xml(rules, format, marks, tool);
        var arguments = Arguments(rules, tool);
        if (format.Syntax == ToolSyntax.NameThenJson) return $"{Text(format.Start + tool.Name + format.AfterName)} {arguments} {Text(format.End)}";
        var call = $"{Text($"{{\"name\": \"{tool.Name}\", \"{format.ArgumentsKey}\": ")} {arguments} \"}}\"";
        return format.IsList || format.Start.Length == 0 ? call : $"{Text(format.Start + "\n")} {call} {Text("\n" + format.End)}";
    }

    /// <summary>The parameters in the order of their schema; those that are not required may be left out.</summary>
    private static string Xml(GrammarRules rules, ToolFormat format, XmlMarks marks, Tool tool)
    {
        var required = (tool.Parameters?["required"] as JsonArray)?.Select(r => r?.ToString()).ToHashSet() ?? [];
        var call = Text(format.Start + marks.NameStart + tool.Name + marks.NameEnd);
        foreach (var (key, schema) in tool.Parameters?["properties"] as JsonObject ?? [])
        {
            var parameter = rules.Add($"{Text(marks.KeyStart + key + marks.KeyEnd)} {XmlValue(rules, marks, tool, key, schema)}");
            call += required.Contains(key) ? $" {parameter}" : $" {parameter}?";
        }
        return $"{call} {Text(marks.CallEnd + format.End)}";
    }

    private static string XmlValue(GrammarRules rules, XmlMarks marks, Tool tool, string key, JsonNode? schema)
    {
        var end = marks.ValueEnd.TrimEnd('\n');
        var rest = Text(marks.ValueEnd[end.Length..]);
        if (XmlCalls.IsText(schema))
            return schema!["enum"] is JsonArray choices ? $"({string.Join(" | ", choices.Select(c => Text($"{c}")))}) {Text(marks.ValueEnd)}" : Until(rules, end, rest);
        try
        {
            return $"{JsonSchemaGrammar.AddTo(rules, schema, $"{tool.Path}.parameters.properties.{key}")} {Text(marks.ValueEnd)}";
        }
        catch (RefusedException) when (!tool.IsStrict)
        {
            return Until(rules, end, rest);
        }
    }

    /// <summary>What is not strict is helped with its arguments where that is possible.</summary>
    private static string Arguments(GrammarRules rules, Tool tool)
    {
        try
        {
            return tool.Parameters is null ? "object" : JsonSchemaGrammar.AddTo(rules, tool.Parameters, $"{tool.Path}.parameters");
        }
        catch (RefusedException) when (!tool.IsStrict)
        {
            return "object";
        }
    }

    private static string Text(string text) => GrammarRules.Literal(text);
}
