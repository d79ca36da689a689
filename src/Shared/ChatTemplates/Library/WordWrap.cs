using System.Text.RegularExpressions;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Breaks lines at a width between words, as Python's textwrap does it; line ends that are there stay.</summary>
internal sealed partial class WordWrap(Budget budget, int width, bool breakLongWords, bool breakOnHyphens)
{
    [GeneratedRegex(@"[\t\n\v\f\r ]+|(?<=[\w!""'&.,?])-{2,}(?=\w)|[^\t\n\v\f\r ]+?(?:(?<=[^\d\W]{2}-|[^\d\W]-[^\d\W]-)(?=[^\d\W]-?[^\d\W])|(?=[\t\n\v\f\r ]|\z)|(?<=[\w!""'&.,?])(?=-{2,}\w))", RegexOptions.CultureInvariant, 100)]
    private static partial Regex Chunks();

    [GeneratedRegex(@"[\t\n\v\f\r ]+|[^\t\n\v\f\r ]+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();

    public string Apply(string text, string lineEnd)
    {
        if (width <= 0) throw TemplateException.ValueError($"invalid width {width} (must be > 0)");
        var wrapped = PythonText.SplitLines(text).Select(line => string.Join(lineEnd, Wrap(line))).ToList();
        budget.Text(wrapped.Sum(line => (long)line.Length + lineEnd.Length));
        return string.Join(lineEnd, wrapped);
    }

    private List<string> Wrap(string line)
    {
        var chunks = new Stack<string>(Enumerable.Reverse(Split(line)));
        var lines = new List<string>();
        while (chunks.Count > 0)
        {
            if (lines.Count > 0 && string.IsNullOrWhiteSpace(chunks.Peek())) chunks.Pop();
            var current = new List<string>();
            var length = 0;
            while (chunks.Count > 0 && length + CodePoints.Count(chunks.Peek()) <= width)
            {
                length += CodePoints.Count(chunks.Peek());
                current.Add(chunks.Pop());
            }
            if (chunks.Count > 0 && CodePoints.Count(chunks.Peek()) > width) BreakLong(chunks, current, width - length);
            if (current.Count > 0 && string.IsNullOrWhiteSpace(current[^1])) current.RemoveAt(current.Count - 1);
            if (current.Count > 0) lines.Add(string.Concat(current));
        }
        return lines;
    }

    private List<string> Split(string line)
    {
        budget.Items(line.Length);
        try
        {
            return [.. (breakOnHyphens ? Chunks() : Words()).Matches(line).Select(m => m.Value)];
        }
        catch (RegexMatchTimeoutException)
        {
            throw TemplateException.OverBudget("steps");
        }
    }

    private void BreakLong(Stack<string> chunks, List<string> current, int room)
    {
        if (!breakLongWords)
        {
            if (current.Count == 0) current.Add(chunks.Pop());
            return;
        }
        var chunk = chunks.Pop();
        budget.Text(chunk.Length);
        var end = CodePoints.Offset(chunk, Math.Max(1, room));
        if (breakOnHyphens && CodePoints.Count(chunk) > room && end > 0 && chunk.LastIndexOf('-', end - 1) is > 0 and var hyphen && chunk[..hyphen].Any(c => c != '-')) end = hyphen + 1;
        current.Add(chunk[..end]);
        if (end < chunk.Length) chunks.Push(chunk[end..]);
    }
}
