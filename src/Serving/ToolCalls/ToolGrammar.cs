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
        // As many rules as the mark has letters: the i-th is where i of them have been read.
        var mark = ThoughtText.End;
        var names = mark.Select(_ => rules.Reserve()).ToArray();
        for (var i = 0; i < mark.Length; i++)
        {
            // Its first letter stands nowhere else in it, so that after a wrong letter the mark begins anew or not at all.
            var next = i + 1 < mark.Length ? names[i + 1] : $"ws {answer}";
            var again = i == 0 ? "" : $" | {Text(mark[..1])} {names[1]}";
            var others = i == 0 ? mark[..1] : $"{mark[0]}{mark[i]}";
            rules.Define(names[i], $"{Text(mark[i].ToString())} {next}{again} | [^{others}] {names[0]}");
        }
        return begun ? names[0] : rules.Add($"{Text(ThoughtText.Start)} {names[0]} | {answer}");
    }

    private static string Call(GrammarRules rules, ToolFormat format, Tool tool)
    {
        var arguments = Arguments(rules, tool);
        if (format.Syntax == ToolSyntax.NameThenJson) return $"{Text(format.Start + tool.Name + format.AfterName)} {arguments} {Text(format.End)}";
        var call = $"{Text($"{{\"name\": \"{tool.Name}\", \"{format.ArgumentsKey}\": ")} {arguments} \"}}\"";
        return format.IsList || format.Start.Length == 0 ? call : $"{Text(format.Start + "\n")} {call} {Text("\n" + format.End)}";
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
