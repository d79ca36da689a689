using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Grammars;

/// <summary>A grammar in the writing: rules by name, among them those of JSON that are asked for.</summary>
internal sealed class GrammarRules
{
    private const int MaxRules = 20_000;

    private static readonly Dictionary<string, string> OfJson = new()
    {
        // Little white space: a model that may write any amount of it can write it for ever.
        ["ws"] = """(" " | "\n" [ \t]{0,20})?""",
        ["value"] = "object | array | string | number | boolean | null",
        ["object"] = """ "{" ws (member ("," ws member)*)? "}" """,
        ["member"] = """string ws ":" ws value ws""",
        ["array"] = """ "[" ws (value ws ("," ws value ws)*)? "]" """,
        ["string"] = """ "\"" char* "\"" """,
        // An escaped character outside the basic plane is a pair of escapes; half of one is no text.
        ["char"] = """ [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" escaped)""",
        ["escaped"] = """ [0-9a-cA-CefEF] hex{3} | [dD] ([0-7] hex{2} | [89abAB] hex{2} "\\u" [dD] [c-fC-F] hex{2})""",
        ["hex"] = "[0-9a-fA-F]",
        ["number"] = """integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?""",
        ["integer"] = """ "-"? ("0" | [1-9] [0-9]{0,15})""",
        ["boolean"] = """ "true" | "false" """,
        ["null"] = """ "null" """,
    };

    private readonly Dictionary<string, string> _rules = [];

    /// <summary>A new name.</summary>
    public string Reserve()
    {
        if (_rules.Count >= MaxRules) throw new RefusedException("schema-too-large", $"the schema needs more than {MaxRules:N0} rules of grammar", "make it smaller");
        var name = string.Create(CultureInfo.InvariantCulture, $"r{_rules.Count}");
        _rules[name] = "";
        return name;
    }

    public string Define(string name, string body)
    {
        _rules[name] = body;
        return name;
    }

    public string Add(string body) => Define(Reserve(), body);

    public string Write(string root)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"root ::= {root}\n");
        foreach (var (name, body) in _rules.Concat(OfJson)) text.Append(CultureInfo.InvariantCulture, $"{name} ::= {body}\n");
        return text.ToString();
    }

    public static string Literal(string text)
    {
        var literal = new StringBuilder("\"");
        foreach (var c in text)
            if (c is '"' or '\\') literal.Append('\\').Append(c);
            else if (char.IsControl(c)) literal.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:X2}");
            else literal.Append(c);
        return literal.Append('"').ToString();
    }

    public static string JsonLiteral(JsonNode? value) => Literal(value is null ? "null" : value.ToJsonString(Json.Options));
}
