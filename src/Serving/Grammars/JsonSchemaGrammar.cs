using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Domain;

namespace TokenMill.Serving.Grammars;

/// <summary>
/// A JSON Schema as a grammar of exactly the documents that it allows, or fewer: members come in the order of the schema,
/// an object with declared properties has no others unless the schema says so, and white space is little.
/// What a grammar cannot say (or this one does not) is refused by its path; what only describes is ignored.
/// </summary>
internal sealed class JsonSchemaGrammar
{
    private const int MaxDepth = 100, MaxSchemas = 20_000;

    private static readonly string[] Unsupported =
    [
        "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties", "propertyNames", "contains", "minContains",
        "maxContains", "uniqueItems", "multipleOf", "unevaluatedProperties", "unevaluatedItems", "minProperties", "maxProperties", "$dynamicRef", "$recursiveRef",
    ];

    private static readonly Dictionary<string, string> Formats = new()
    {
        ["date"] = "[0-9]{4} \"-\" (\"0\" [1-9] | \"1\" [0-2]) \"-\" (\"0\" [1-9] | [12] [0-9] | \"3\" [01])",
        ["time"] = "([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9] \":\" [0-5] [0-9] (\".\" [0-9]{1,9})? (\"Z\" | [-+] ([01] [0-9] | \"2\" [0-3]) \":\" [0-5] [0-9])",
        ["uuid"] = "hex{8} \"-\" hex{4} \"-\" hex{4} \"-\" hex{4} \"-\" hex{12}",
        ["ipv4"] = "(\"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9] [0-9] | [1-9]? [0-9]) (\".\" (\"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9] [0-9] | [1-9]? [0-9])){3}",
        ["email"] = "[a-zA-Z0-9_+-] [a-zA-Z0-9_+-]{0,30} (\".\" [a-zA-Z0-9_+-]{1,30}){0,3} \"@\" [a-zA-Z0-9] [a-zA-Z0-9-]{0,30} (\".\" [a-zA-Z0-9] [a-zA-Z0-9-]{0,30}){1,3}",
    };

    private readonly GrammarRules _rules;
    private readonly JsonNode? _document;
    private readonly string _path;
    private readonly Dictionary<string, string> _referenced = [];
    private int _schemas;

    private JsonSchemaGrammar(GrammarRules rules, JsonNode? document, string path) => (_rules, _document, _path) = (rules, document, path);

    /// <summary>The rule for documents of a schema.</summary>
    /// <param name="path">Where the schema stands in the request, for messages.</param>
    /// <exception cref="RefusedException">unsupported-schema, invalid-schema, schema-too-large; its field is the path.</exception>
    public static string AddTo(GrammarRules rules, JsonNode? schema, string path) => new JsonSchemaGrammar(rules, schema, path).Visit(schema, path, 0);

    private string Visit(JsonNode? schema, string path, int depth)
    {
        if (depth > MaxDepth || ++_schemas > MaxSchemas) throw new RefusedException(new Error("schema-too-large", depth > MaxDepth ? $"the schema is nested deeper than {MaxDepth}" : $"the schema has more than {MaxSchemas:N0} parts", "make it smaller") { Field = path });
        if (schema is JsonValue value && value.TryGetValue<bool>(out var any)) return any ? "value" : throw Invalid(path, "false allows nothing");
        if (schema is not JsonObject keywords) throw Invalid(path, "a schema is a JSON object");
        foreach (var name in Unsupported)
            if (keywords.TryGetPropertyValue(name, out var constraint) && !IsWithoutEffect(name, constraint)) throw Refuse($"{path}.{name}", $"{name} is not supported");

        if (keywords["$ref"] is { } reference) return Reference(keywords, reference, path, depth);
        if (keywords["allOf"] is { } all) return Visit(Merged(Without(keywords, "allOf"), List(all, $"{path}.allOf"), $"{path}.allOf", depth), path, depth + 1);
        foreach (var name in new[] { "anyOf", "oneOf" })
        {
            if (keywords[name] is not { } choices) continue;
            var rest = Without(keywords, name);
            return Alternatives(List(choices, $"{path}.{name}").Select((c, i) => Visit(Merged((JsonObject)rest.DeepClone(), [c], $"{path}.{name}", depth), $"{path}.{name}[{i}]", depth + 1)));
        }
        if (keywords["enum"] is { } values) return Alternatives(List(values, $"{path}.enum").Select(GrammarRules.JsonLiteral));
        if (keywords.TryGetPropertyValue("const", out var constant)) return GrammarRules.JsonLiteral(constant);

        var types = Types(keywords, path);
        return types.Count == 0 ? "value" : Alternatives(types.Select(type => OfType(type, keywords, path, depth)));
    }

    private string OfType(string type, JsonObject schema, string path, int depth) => type switch
    {
        "object" => Object(schema, path, depth),
        "array" => Array(schema, path, depth),
        "string" => Text(schema, path),
        "integer" => Integer(schema, path),
        "number" => Number(schema, path),
        "boolean" or "null" => type,
        _ => throw Invalid($"{path}.type", $"'{type}' is no type"),
    };

    private static List<string> Types(JsonObject schema, string path)
    {
        if (schema["type"] is JsonArray several) return [.. several.Select(t => Name(t, $"{path}.type"))];
        if (schema["type"] is { } one) return [Name(one, $"{path}.type")];
        // Without a type, the keywords show which one is meant.
        if (schema.ContainsKey("properties") || schema.ContainsKey("required") || schema.ContainsKey("additionalProperties")) return ["object"];
        if (schema.ContainsKey("items") || schema.ContainsKey("prefixItems")) return ["array"];
        if (schema.ContainsKey("pattern") || schema.ContainsKey("minLength") || schema.ContainsKey("maxLength") || schema.ContainsKey("format")) return ["string"];
        return schema.ContainsKey("minimum") || schema.ContainsKey("maximum") || schema.ContainsKey("exclusiveMinimum") || schema.ContainsKey("exclusiveMaximum") ? ["number"] : [];
    }

    private string Object(JsonObject schema, string path, int depth)
    {
        var properties = schema["properties"] switch
        {
            null => [],
            JsonObject some => some.ToList(),
            _ => throw Invalid($"{path}.properties", "properties are a JSON object"),
        };
        var required = schema["required"] is { } names ? List(names, $"{path}.required").Select(n => Name(n, $"{path}.required")).ToHashSet() : [];
        foreach (var name in required.Where(n => properties.TrueForAll(p => p.Key != n))) properties.Add(KeyValuePair.Create(name, (JsonNode?)JsonValue.Create(true)));
        var more = schema["additionalProperties"] ?? JsonValue.Create(properties.Count == 0);

        // tail: what may follow a member from the i-th property on; head: the same where no member stands before.
        var (tail, head) = ("\"\"", "\"\"");
        if (!(more is JsonValue told && told.TryGetValue<bool>(out var allowed) && !allowed))
        {
            var name = properties.Count == 0 ? "string" : OtherName([.. properties.Select(p => GrammarRulesText(p.Key))], "");
            var member = _rules.Add($"""{name} ws ":" ws {Visit(more, $"{path}.additionalProperties", depth + 1)} ws""");
            tail = _rules.Add($"""("," ws {member})*""");
            head = _rules.Add($"({member} {tail})?");
        }
        for (var i = properties.Count - 1; i >= 0; i--)
        {
            var (name, property) = properties[i];
            var member = _rules.Add($"""{GrammarRules.JsonLiteral(name)} ws ":" ws {Visit(property, $"{path}.properties.{name}", depth + 1)} ws""");
            var (with, first) = ($"\",\" ws {member} {tail}", $"{member} {tail}");
            (tail, head) = required.Contains(name) ? (_rules.Add(with), _rules.Add(first)) : (_rules.Add($"{with} | {tail}"), _rules.Add($"{first} | {head}"));
        }
        return _rules.Add($$""" "{" ws {{head}} "}" """);
    }

    private static string GrammarRulesText(string name) => JsonSerializer.Serialize(name, Shared.Json.Options)[1..^1];

    /// <summary>A member's name that is none of those, from behind what they have in common; no escapes before it differs, since those spell any letter.</summary>
    private string OtherName(IReadOnlyList<string> names, string before)
    {
        var next = names.Where(n => n.Length > before.Length && n.StartsWith(before, StringComparison.Ordinal)).Select(n => n[before.Length]).Distinct().ToList();
        var alternatives = next.Select(c => $"{GrammarRules.Literal(c.ToString())} {OtherName(names, before + c)}").ToList();
        alternatives.Add($$"""[^"\\\x00-\x1F\x7F{{string.Concat(next.Select(c => $"\\u{(int)c:X4}"))}}] char* "\"" """);
        if (!names.Contains(before)) alternatives.Add("\"\\\"\"");
        var rule = _rules.Add(string.Join(" | ", alternatives));
        return before.Length == 0 ? $"\"\\\"\" {rule}" : rule;
    }

    private string Array(JsonObject schema, string path, int depth)
    {
        var (least, most) = (Count(schema, "minItems", path) ?? 0, Count(schema, "maxItems", path));
        if (most < least) throw Invalid($"{path}.maxItems", $"maxItems is {most}, less than minItems");
        var first = schema["prefixItems"] is { } prefix ? List(prefix, $"{path}.prefixItems").Select((item, i) => Visit(item, $"{path}.prefixItems[{i}]", depth + 1)).ToList() : [];
        var others = schema["items"] is JsonValue none && none.TryGetValue<bool>(out var may) && !may ? null : Visit(schema["items"] ?? JsonValue.Create(true), $"{path}.items", depth + 1);
        if (others is null) most = Math.Min(most ?? first.Count, first.Count);
        if (most < first.Count) first = first[..most.Value];
        if (least > (most ?? int.MaxValue)) throw Invalid($"{path}.minItems", "more items are asked for than are allowed");

        // From the last place of the prefix backwards: each must be there if the array has to be that long.
        var rest = others is null || most == first.Count ? "\"\"" : _rules.Add($$"""("," ws {{others}} ws){{{Math.Max(0, least - Math.Max(1, first.Count))}},{{(most is { } m ? (m - Math.Max(1, first.Count)).ToString() : "")}}}""");
        if (first.Count == 0) return most == 0 ? "\"[\" ws \"]\"" : _rules.Add($$""" "[" ws ({{others}} ws {{rest}}){{(least == 0 ? "?" : "")}} "]" """);
        for (var i = first.Count - 1; i >= 0; i--)
            rest = _rules.Add($"""({(i > 0 ? "\",\" ws" : "")} {first[i]} ws {rest}){(i < least ? "" : "?")}""");
        return _rules.Add($""" "[" ws {rest} "]" """);
    }

    private string Text(JsonObject schema, string path)
    {
        if (schema["pattern"] is { } pattern)
        {
            if (schema.ContainsKey("minLength") || schema.ContainsKey("maxLength")) throw Refuse($"{path}.pattern", "pattern beside minLength or maxLength is not supported");
            return _rules.Add($"\"\\\"\" {PatternGrammar.Write(Name(pattern, $"{path}.pattern"), $"{path}.pattern")} \"\\\"\"");
        }
        if (schema["format"] is { } format)
        {
            var name = Name(format, $"{path}.format");
            if (name == "date-time") return _rules.Add($"\"\\\"\" {Formats["date"]} \"T\" {Formats["time"]} \"\\\"\"");
            return Formats.TryGetValue(name, out var body) ? _rules.Add($"\"\\\"\" {body} \"\\\"\"") : throw Refuse($"{path}.format", $"the format {name} is not supported");
        }
        var (least, most) = (Count(schema, "minLength", path) ?? 0, Count(schema, "maxLength", path));
        if (most < least) throw Invalid($"{path}.maxLength", $"maxLength is {most}, less than minLength");
        return (least, most) == (0, null) ? "string" : _rules.Add($$""" "\"" char{{{least}},{{most}}} "\"" """);
    }

    private string Integer(JsonObject schema, string path)
    {
        var (least, most) = Bounds(schema, path);
        least = least is null ? null : Math.Ceiling(least.Value);
        most = most is null ? null : Math.Floor(most.Value);
        if (Excludes(schema, "exclusiveMinimum", least, path)) least++;
        if (Excludes(schema, "exclusiveMaximum", most, path)) most--;
        if (least > most) throw Invalid($"{path}.minimum", "no number is that large and that small");
        return (least, most) == (null, null) ? "integer" : _rules.Add(NumberRanges.Integers(least, most));
    }

    private string Number(JsonObject schema, string path)
    {
        var (least, most) = Bounds(schema, path);
        if (least is null && most is null) return "number";
        foreach (var name in new[] { "exclusiveMinimum", "exclusiveMaximum" })
            if (schema.ContainsKey(name)) throw Refuse($"{path}.{name}", $"{name} of a number that is no integer is not supported");
        foreach (var (name, bound) in new[] { ("minimum", least), ("maximum", most) })
            if (bound is { } b && b != Math.Floor(b)) throw Refuse($"{path}.{name}", $"a {name} that is no whole number is not supported");
        return least > most ? throw Invalid($"{path}.minimum", "no number is that large and that small") : _rules.Add(NumberRanges.Decimals(least, most));
    }

    private static (decimal? Least, decimal? Most) Bounds(JsonObject schema, string path) => (
        Larger(Bound(schema, "minimum", path), Bound(schema, "exclusiveMinimum", path)),
        -Larger(-Bound(schema, "maximum", path), -Bound(schema, "exclusiveMaximum", path)));

    private static bool Excludes(JsonObject schema, string name, decimal? bound, string path) => bound is not null && Bound(schema, name, path) == bound;

    private static decimal? Larger(decimal? a, decimal? b) => a is null || b > a ? b : a;

    private static decimal? Bound(JsonObject schema, string name, string path) => schema[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<decimal>(out var number) && Math.Abs(number) <= NumberRanges.Largest => number,
        _ => throw Invalid($"{path}.{name}", $"{name} is a number of at most {NumberRanges.Largest:N0}"),
    };

    private static int? Count(JsonObject schema, string name, string path) => schema[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<int>(out var number) && number >= 0 => number,
        _ => throw Invalid($"{path}.{name}", $"{name} is a count"),
    };

    /// <summary>One rule for each place that is referred to, so that a schema may contain itself.</summary>
    private string Reference(JsonObject schema, JsonNode reference, string path, int depth)
    {
        var pointer = Name(reference, $"{path}.$ref");
        if (schema.Any(k => k.Key is "anyOf" or "allOf" or "oneOf" or "properties" or "required")) return Visit(Merged(Without(schema, "$ref"), [Find(pointer, $"{path}.$ref")], $"{path}.$ref", depth), path, depth + 1);
        if (_referenced.TryGetValue(pointer, out var known)) return known;
        var rule = _referenced[pointer] = _rules.Reserve();
        return _rules.Define(rule, Visit(Find(pointer, $"{path}.$ref"), pointer == "#" ? _path : $"{_path}{pointer[1..].Replace('/', '.')}", depth + 1));
    }

    private JsonNode? Find(string pointer, string path)
    {
        if (pointer != "#" && !pointer.StartsWith("#/", StringComparison.Ordinal)) throw Refuse(path, $"only references into the schema itself (#/…) are followed, not '{pointer}'");
        var node = _document;
        foreach (var part in pointer.Split('/')[1..])
        {
            var key = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            node = node switch
            {
                JsonObject map when map.TryGetPropertyValue(key, out var value) => value,
                JsonArray list when int.TryParse(key, out var index) && (uint)index < (uint)list.Count => list[index],
                _ => throw Invalid(path, $"'{pointer}' leads nowhere"),
            };
        }
        return node;
    }

    /// <summary>One schema that says what all say. Properties are put together; where two say different things of one, it is refused.</summary>
    private JsonObject Merged(JsonObject into, IEnumerable<JsonNode?> schemas, string path, int depth)
    {
        foreach (var (i, schema) in schemas.Index())
        {
            if (depth > MaxDepth || ++_schemas > MaxSchemas) throw new RefusedException(new Error("schema-too-large", "the schema is nested too deep", "make it smaller") { Field = path });
            if (schema is JsonValue flag && flag.TryGetValue<bool>(out var any) && any) continue;
            if (schema is not JsonObject keywords) throw Invalid($"{path}[{i}]", "a schema is a JSON object");
            if (into.Count > 0 && keywords["$ref"] is { } reference) keywords = Merged(Without(keywords, "$ref"), [Find(Name(reference, path), path)], path, depth + 1);
            foreach (var (key, value) in keywords)
            {
                if (!into.TryGetPropertyValue(key, out var present)) into[key] = value?.DeepClone();
                else if (key == "properties" && present is JsonObject properties && value is JsonObject more)
                    foreach (var (name, property) in more)
                        if (!properties.TryGetPropertyValue(name, out var same)) properties[name] = property?.DeepClone();
                        else if (!JsonNode.DeepEquals(same, property)) throw Refuse($"{path}[{i}].properties.{name}", "two different schemas for one property are not supported");
                        else continue;
                else if (key == "required" && present is JsonArray names && value is JsonArray others)
                    foreach (var name in others.Where(o => !names.Any(n => JsonNode.DeepEquals(n, o)))) names.Add(name?.DeepClone());
                else if (!JsonNode.DeepEquals(present, value) && key is not ("title" or "description" or "default" or "examples" or "$defs" or "definitions" or "$schema" or "$id" or "$comment"))
                    throw Refuse($"{path}[{i}].{key}", $"{key} stands beside another {key} that says something else, which is not supported");
            }
        }
        return into;
    }

    private string Alternatives(IEnumerable<string> choices)
    {
        var all = choices.ToList();
        return all is [var only] ? only : _rules.Add(string.Join(" | ", all));
    }

    private static JsonObject Without(JsonObject schema, string key)
    {
        var rest = (JsonObject)schema.DeepClone();
        rest.Remove(key);
        return rest;
    }

    private static bool IsWithoutEffect(string name, JsonNode? constraint) => (name, constraint?.ToJsonString()) is ("uniqueItems", "false") or ("minProperties", "0") or ("unevaluatedProperties" or "unevaluatedItems", "true") or (_, "{}" or "null");

    private static JsonArray List(JsonNode node, string path) => node is JsonArray { Count: > 0 } list || path.EndsWith(".required", StringComparison.Ordinal) && (list = (node as JsonArray)!) is not null ? list : throw Invalid(path, "a list with at least one entry is expected");

    private static string Name(JsonNode? node, string path) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Invalid(path, "a text is expected");

    private static RefusedException Invalid(string path, string message) => new(new Error("invalid-schema", $"{path}: {message}", "see json-schema.org") { Field = path });

    private static RefusedException Refuse(string path, string message) => new(new Error("unsupported-schema", $"{path}: {message}", "leave it out, and check the answer yourself") { Field = path });
}
