using TokenMill.Shared.ChatTemplates;
using TokenMill.Shared.Jobs;

namespace TokenMill.Training.Data;

/// <summary>Brings examples that exceed the length limit within it, as the specification says, and counts what happened to them.</summary>
public sealed class LengthFit(int maxLength, Overflow overflow)
{
    private int _long, _lost, _longest;

    public IEnumerable<EncodedExample> Each(IReadOnlyList<EncodedExample> examples)
    {
        foreach (var example in examples)
        {
            if (!Exceeds(example))
            {
                yield return example;
                continue;
            }
            if (overflow == Overflow.Drop) continue;
            var pieces = overflow == Overflow.Split ? (example.Ids.Length + maxLength - 1) / maxLength : 1;
            var kept = 0;
            for (var piece = 0; piece < pieces; piece++)
            {
                var part = Part(example, piece * maxLength);
                if (part.SupervisedTokens == 0) continue;
                kept++;
                yield return part;
            }
            if (kept == 0) _lost++;
        }
    }

    /// <summary>A pair is kept or dropped whole.</summary>
    public IReadOnlyList<EncodedExample> Pair(IReadOnlyList<EncodedExample> pair)
    {
        var longer = pair.Count(Exceeds);
        if (longer == 0) return pair;
        _long -= longer - 1;
        if (overflow == Overflow.Drop) return [];
        var cut = pair.Select(e => Part(e, 0)).ToList();
        if (cut.All(e => e.SupervisedTokens > 0)) return cut;
        _lost++;
        return [];
    }

    public DataWarning? Warning(string name)
    {
        if (_long == 0) return null;
        var done = overflow switch { Overflow.Drop => "left out", Overflow.Split => "split", _ => "cut" };
        var lost = _lost == 0 ? "" : $"; of {_lost:N0} nothing to learn was left, and they are left out";
        return new DataWarning("too-long", $"{_long:N0} examples of {name} exceed max_length {maxLength:N0} (the longest has {_longest:N0} tokens) and were {done}{lost}; raise max_length or choose another overflow");
    }

    private bool Exceeds(EncodedExample example)
    {
        _longest = Math.Max(_longest, example.Ids.Length);
        if (example.Ids.Length <= maxLength) return false;
        _long++;
        return true;
    }

    private EncodedExample Part(EncodedExample example, int start)
    {
        var end = Math.Min(example.Ids.Length, start + maxLength);
        return new EncodedExample(example.Ids[start..end], example.Labels[start..end]);
    }
}
