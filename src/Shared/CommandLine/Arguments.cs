using System.Globalization;

namespace TokenMill.Shared.CommandLine;

/// <summary>The command was called with words it does not understand (exit code 2).</summary>
public sealed class UsageException(string message) : Exception(message);

/// <summary>
/// Words of a command: options (<c>--name value</c> or <c>--name=value</c>) are taken by name, the rest by position.
/// Call <see cref="End"/> last: what is left over is a mistake.
/// </summary>
public sealed class Arguments(IEnumerable<string> words)
{
    private readonly List<string> _words = [.. words];

    /// <summary>The next positional word.</summary>
    public string Positional(string name)
    {
        var index = _words.FindIndex(w => !w.StartsWith("--", StringComparison.Ordinal));
        if (index < 0) throw new UsageException($"{name} is missing");
        return Take(index);
    }

    public bool HasPositional => _words.Exists(w => !w.StartsWith("--", StringComparison.Ordinal));

    public bool Flag(string name)
    {
        var index = _words.IndexOf(name);
        if (index >= 0) _words.RemoveAt(index);
        return index >= 0;
    }

    public string? Option(string name)
    {
        for (var i = 0; i < _words.Count; i++)
        {
            if (_words[i].StartsWith(name + "=", StringComparison.Ordinal)) return Take(i)[(name.Length + 1)..];
            if (_words[i] != name) continue;
            if (i + 1 >= _words.Count || _words[i + 1].StartsWith("--", StringComparison.Ordinal)) throw new UsageException($"{name} needs a value");
            Take(i);
            return Take(i);
        }
        return null;
    }

    public string Required(string name) => Option(name) ?? throw new UsageException($"{name} is missing");

    /// <summary>An option that may be given several times.</summary>
    public IReadOnlyList<string> Options(string name)
    {
        var values = new List<string>();
        while (Option(name) is { } value) values.Add(value);
        return values;
    }

    /// <summary>An option of one or more words KEY=VALUE, possibly given several times.</summary>
    public IReadOnlyList<(string Key, string Value)> Pairs(string name)
    {
        var pairs = new List<(string, string)>();
        for (var index = _words.IndexOf(name); index >= 0; index = _words.IndexOf(name))
        {
            Take(index);
            var count = pairs.Count;
            while (index < _words.Count && !_words[index].StartsWith("--", StringComparison.Ordinal) && _words[index].Split('=', 2) is [{ Length: > 0 } key, { Length: > 0 } value])
            {
                pairs.Add((key, value));
                Take(index);
            }
            if (pairs.Count == count) throw new UsageException($"{name} needs KEY=VALUE");
        }
        return pairs;
    }

    public int? Int(string name)
    {
        if (Option(name) is not { } text) return null;
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : throw new UsageException($"{name} is a whole number, not '{text}'");
    }

    /// <summary><c>--json [FILE]</c>: absent (null), to stdout (empty) or to a file. Ask for it before the positional words only when it comes last.</summary>
    public string? Json()
    {
        var index = _words.FindIndex(w => w == "--json" || w.StartsWith("--json=", StringComparison.Ordinal));
        if (index < 0) return null;
        var word = Take(index);
        if (word.Contains('=', StringComparison.Ordinal)) return word["--json=".Length..];
        return index < _words.Count && !_words[index].StartsWith("--", StringComparison.Ordinal) ? Take(index) : "";
    }

    public void End()
    {
        if (_words.Count > 0) throw new UsageException($"'{_words[0]}' is not understood");
    }

    private string Take(int index)
    {
        var word = _words[index];
        _words.RemoveAt(index);
        return word;
    }
}
