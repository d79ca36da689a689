using System.Net;
using System.Text;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Filters about HTML and addresses; autoescape is always off in chat templates.</summary>
internal static class HtmlFilters
{
    public static void Register(Action<string, string, FilterLibrary.Filter> add)
    {
        add("safe", "", (v, _, r) => new TextValue(Printer.Str(v, r.Budget), isMarkup: true));
        add("escape e", "", (v, _, r) => Printer.Escape(v, r.Budget));
        add("forceescape", "", (v, _, r) => Printer.Escape(new TextValue(Printer.Str(v, r.Budget)), r.Budget));
        add("striptags", "", (v, _, r) => new TextValue(StripTags(Printer.Str(v, r.Budget), r)));
        add("urlencode", "", UrlEncode);
        add("xmlattr", "autospace?", XmlAttributes);
    }

    private static string StripTags(string text, Rendering rendering)
    {
        rendering.Budget.Text(text.Length);
        var plain = RemoveBetween(RemoveBetween(text, "<!--", "-->"), "<", ">");
        return WebUtility.HtmlDecode(string.Join(' ', plain.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
    }

    private static string RemoveBetween(string text, string open, string close)
    {
        var result = new StringBuilder(text.Length);
        var position = 0;
        while (text.IndexOf(open, position, StringComparison.Ordinal) is >= 0 and var start && text.IndexOf(close, start, StringComparison.Ordinal) is >= 0 and var end)
        {
            result.Append(text, position, start - position);
            position = end + close.Length;
        }
        return result.Append(text, position, text.Length - position).ToString();
    }

    private static Value UrlEncode(Value value, BoundArguments arguments, Rendering rendering)
    {
        string Quote(Value part, bool query) => UrlQuote(Printer.Str(part, rendering.Budget), query, rendering);
        if (value is TextValue || !Iteration.IsIterable(value)) return new TextValue(Quote(value, query: false));
        var pairs = value is MapValue map ? new MapViewValue(map, MapViewKind.Items) : value;
        var parts = new List<string>();
        foreach (var pair in Iteration.Items(pairs, rendering.Budget))
        {
            if (pair is not SequenceValue { Items: [var key, var entry] }) throw TemplateException.ValueError("not a list of pairs");
            parts.Add(Quote(key, query: true) + "=" + Quote(entry, query: true));
        }
        return new TextValue(string.Join('&', parts));
    }

    private static string UrlQuote(string text, bool query, Rendering rendering)
    {
        rendering.Budget.Text(text.Length * 3L);
        var escaped = Uri.EscapeDataString(text);
        return query ? escaped.Replace("%20", "+", StringComparison.Ordinal) : escaped.Replace("%2F", "/", StringComparison.Ordinal);
    }

    private static Value XmlAttributes(Value value, BoundArguments arguments, Rendering rendering)
    {
        if (value is UndefinedValue undefined) throw undefined.Failure();
        if (value is not MapValue map) throw TemplateException.Error("AttributeError", $"'{value.TypeName}' object has no attribute 'items'");
        var result = new TextBuffer(rendering.Budget);
        var separator = arguments[0]?.IsTrue ?? true ? " " : "";
        foreach (var (key, entry) in map.Entries)
        {
            if (entry is NoneValue or UndefinedValue) continue;
            var name = Printer.Str(key, rendering.Budget);
            if (name.AsSpan().IndexOfAny(" \t\n\r\f\v/>=") >= 0) throw TemplateException.ValueError($"Invalid character in attribute name: '{name}'");
            result.Append(separator).Append(Printer.Escape(key, rendering.Budget).Text).Append("=\"").Append(Printer.Escape(entry, rendering.Budget).Text).Append('"');
            separator = " ";
        }
        return new TextValue(result.ToString());
    }
}
