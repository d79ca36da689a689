using System.Text;

namespace TokenMill.Serving.Sampling;

/// <summary>
/// Turns the bytes of tokens into text that can be sent: whole characters only, and nothing that may turn out to be the
/// beginning of a stop string. Stop strings are found across the borders of tokens and are not part of the text.
/// </summary>
public sealed class AnswerText(IReadOnlyList<string> stopStrings)
{
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder _held = new();

    /// <summary>A stop string came: the text is over.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Characters that are held back.</summary>
    public int Held => _held.Length;

    /// <summary>Takes the bytes of a token and gives the text that is certain by now, possibly none.</summary>
    /// <param name="text">The same as text, where it is whole characters: given back if it can be sent as it is, so that most tokens make no garbage.</param>
    public string Append(ReadOnlySpan<byte> bytes, string? text = null)
    {
        if (text is not null && stopStrings.Count == 0 && _held.Length == 0 && _decoder.GetCharCount([], flush: true) == 0) return text;
        Span<char> chars = stackalloc char[256];
        while (bytes.Length > 0)
        {
            _decoder.Convert(bytes, chars, flush: false, out var used, out var written, out _);
            _held.Append(chars[..written]);
            bytes = bytes[used..];
        }
        if (stopStrings.Count == 0) return Take(_held.Length);

        var held = _held.ToString();
        var stop = -1;
        foreach (var candidate in stopStrings)
        {
            var at = held.IndexOf(candidate, StringComparison.Ordinal);
            if (at >= 0 && (stop < 0 || at < stop)) stop = at;
        }
        Stopped = stop >= 0;
        return Take(Stopped ? stop : held.Length - LongestBeginningAtEnd(held));
    }

    /// <summary>The answer ended otherwise: what was held back is text. Bytes of an unfinished character are dropped.</summary>
    public string Finish() => Stopped ? "" : Take(_held.Length);

    private string Take(int length)
    {
        var text = _held.ToString(0, length);
        _held.Remove(0, length);
        return text;
    }

    private int LongestBeginningAtEnd(string text)
    {
        var longest = 0;
        foreach (var stop in stopStrings)
            for (var length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length))) longest = length;
        return longest;
    }
}
