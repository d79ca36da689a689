using System.Text.Json.Nodes;
using TokenMill.Serving.Grammars;

namespace TokenMill.Serving.OpenAi;

/// <summary>What <c>response_format</c> asks for, as a grammar.</summary>
internal static class ResponseFormat
{
    /// <param name="format">The object; schema and type may stand in it or, as in chat requests, in its <c>json_schema</c>.</param>
    /// <param name="path">Where it stands in the request.</param>
    /// <returns>The name of the rule for the whole answer; null for free text.</returns>
    public static string? AddTo(GrammarRules rules, JsonObject? format, string path)
    {
        switch (format?["type"]?.ToString())
        {
            case null when format is null:
            case "text":
                return null;
            case "json_object":
                return "object";
            case "json_schema":
                var (holder, at) = format["json_schema"] is JsonObject inner ? (inner, $"{path}.json_schema") : (format, path);
                if (holder["schema"] is not { } schema) throw Refusals.Invalid($"{at}.schema", "there is no schema", "send {\"type\": \"json_schema\", \"json_schema\": {\"name\", \"schema\"}}");
                return JsonSchemaGrammar.AddTo(rules, schema, $"{at}.schema");
            default:
                throw Refusals.Invalid($"{path}.type", $"{path}.type is unknown", "it is text, json_object or json_schema");
        }
    }
}
