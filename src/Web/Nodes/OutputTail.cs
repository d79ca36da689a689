namespace TokenMill.Web.Nodes;

/// <summary>The last lines of an output, in bounded memory. Safe for one writer and many readers.</summary>
public sealed class OutputTail(int maxLines = 40, int maxLineLength = 400)
{
    private readonly Queue<string> _lines = new();

    public void Add(string line)
    {
        lock (_lines)
        {
            if (_lines.Count == maxLines) _lines.Dequeue();
            _lines.Enqueue(line.Length <= maxLineLength ? line : line[..maxLineLength] + "…");
        }
    }

    public override string ToString()
    {
        lock (_lines) return string.Join('\n', _lines);
    }
}
