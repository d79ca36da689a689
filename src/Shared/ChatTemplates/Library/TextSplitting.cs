using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>split, rsplit, partition and rpartition.</summary>
internal static class TextSplitting
{
    public static ListValue Split(TextValue self, string? separator, int limit, bool fromEnd, Rendering rendering)
    {
        if (separator is { Length: 0 }) throw TemplateException.ValueError("empty separator");
        var parts = separator is null ? Words(self.Text, limit, fromEnd) : Parts(self.Text, separator, limit, fromEnd);
        return ToList(self, parts, rendering);
    }

    public static ListValue ToList(TextValue self, List<string> parts, Rendering rendering)
    {
        rendering.Budget.Items(parts.Count);
        rendering.Budget.Text(self.Text.Length);
        return new ListValue([.. parts.Select(p => new TextValue(p, self.IsMarkup))]);
    }

    public static TupleValue Partition(TextValue self, string separator, bool last, Rendering rendering)
    {
        if (separator.Length == 0) throw TemplateException.ValueError("empty separator");
        rendering.Budget.Text(self.Text.Length);
        var at = last ? self.Text.LastIndexOf(separator, StringComparison.Ordinal) : self.Text.IndexOf(separator, StringComparison.Ordinal);
        string[] parts = at >= 0 ? [self.Text[..at], separator, self.Text[(at + separator.Length)..]] : last ? ["", "", self.Text] : [self.Text, "", ""];
        return new TupleValue([.. parts.Select(p => new TextValue(p, self.IsMarkup))]);
    }

    private static List<string> Parts(string text, string separator, int limit, bool fromEnd)
    {
        var parts = new List<string>();
        if (fromEnd)
        {
            var end = text.Length;
            for (int at; limit-- != 0 && end >= separator.Length && (at = text.LastIndexOf(separator, end - 1, end, StringComparison.Ordinal)) >= 0; end = at)
                parts.Add(text[(at + separator.Length)..end]);
            parts.Add(text[..end]);
            parts.Reverse();
            return parts;
        }
        var start = 0;
        for (int at; limit-- != 0 && (at = text.IndexOf(separator, start, StringComparison.Ordinal)) >= 0; start = at + separator.Length)
            parts.Add(text[start..at]);
        parts.Add(text[start..]);
        return parts;
    }

    /// <summary>Without a separator: runs of white space divide, and there are no empty parts.</summary>
    private static List<string> Words(string text, int limit, bool fromEnd)
    {
        var parts = new List<string>();
        if (fromEnd)
        {
            for (var rest = PythonText.TrimEnd(text); rest.Length > 0;)
            {
                var start = limit == 0 ? 0 : rest.Length;
                while (start > 0 && !PythonText.IsSpace(rest[start - 1])) start--;
                parts.Add(rest[start..]);
                rest = PythonText.TrimEnd(rest[..start]);
                limit--;
            }
            parts.Reverse();
            return parts;
        }
        for (var i = 0; ;)
        {
            while (i < text.Length && PythonText.IsSpace(text[i])) i++;
            if (i >= text.Length) return parts;
            var start = i;
            if (limit-- == 0) i = text.Length;
            while (i < text.Length && !PythonText.IsSpace(text[i])) i++;
            parts.Add(text[start..i]);
        }
    }
}
