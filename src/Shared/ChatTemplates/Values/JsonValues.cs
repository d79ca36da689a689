using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>JSON as Python reads it: 3 is an int, 3.0 a float, the order of keys stays.</summary>
internal static class JsonValues
{
    private const int MaxDigits = 4300;

    public static Value From(JsonNode? node, ValueComparer comparer)
    {
        switch (node)
        {
            case null: return NoneValue.Instance;
            case JsonArray array: return new ListValue([.. array.Select(item => From(item, comparer))]);
            case JsonObject map:
                var result = new MapValue(comparer);
                foreach (var (key, value) in map) result.Put(new TextValue(key), From(value, comparer));
                return result;
            default: return node.AsValue().TryGetValue<JsonElement>(out var element) ? From(element) : From(JsonSerializer.SerializeToElement(node.AsValue().GetValue<object>()));
        }
    }

    /// <summary>Counts what a conversation brings along, for the budget.</summary>
    public static long Size(JsonNode? node) => node switch
    {
        JsonArray array => array.Sum(item => 2 + Size(item)),
        JsonObject map => map.Sum(entry => entry.Key.Length + 2 + Size(entry.Value)),
        JsonValue value when value.TryGetValue<JsonElement>(out var element) => element.GetRawText().Length,
        null => 0,
        _ => node.ToString().Length,
    };

    private static Value From(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => new TextValue(Text(element)),
        JsonValueKind.True => BooleanValue.True,
        JsonValueKind.False => BooleanValue.False,
        JsonValueKind.Number => Number(element.GetRawText()),
        _ => NoneValue.Instance,
    };

    private static Value Number(string text)
    {
        if (text.AsSpan().IndexOfAny('.', 'e', 'E') >= 0) return new FloatValue(double.Parse(text, CultureInfo.InvariantCulture));
        return text.Length <= MaxDigits
            ? IntegerValue.Of(BigInteger.Parse(text, CultureInfo.InvariantCulture))
            : throw TemplateException.ValueError($"a whole number has more than {MaxDigits} digits");
    }

    /// <summary>Half a surrogate pair is no text to .NET's reader, but may well stand in a file.</summary>
    private static string Text(JsonElement element)
    {
        var raw = element.GetRawText();
        if (!raw.Contains("\\u", StringComparison.Ordinal)) return element.GetString()!;
        var result = new StringBuilder(raw.Length);
        for (var i = 1; i < raw.Length - 1; i++)
        {
            if (raw[i] != '\\')
            {
                result.Append(raw[i]);
                continue;
            }
            switch (raw[++i])
            {
                case 'u':
                    result.Append((char)ushort.Parse(raw.AsSpan(i + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                    i += 4;
                    break;
                case 'b': result.Append('\b'); break;
                case 'f': result.Append('\f'); break;
                case 'n': result.Append('\n'); break;
                case 'r': result.Append('\r'); break;
                case 't': result.Append('\t'); break;
                default: result.Append(raw[i]); break;
            }
        }
        return result.ToString();
    }
}
