using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Sorting as Python's sorted does it: stable, and reversed without losing that.</summary>
internal static class Sorting
{
    /// <summary>What is compared: texts in lower case unless case counts.</summary>
    public static Value Key(Value value, bool ignoreCase) =>
        ignoreCase && value is TextValue text ? new TextValue(PythonText.Lower(text.Text)) : value;

    public static List<Value> Sort(IReadOnlyList<Value> items, Func<Value, Value> key, bool reverse, Rendering rendering)
    {
        rendering.Budget.Items(items.Count * 3L);
        var keyed = items.Select(item => (Key: key(item), Item: item)).ToArray();
        bool Before(Value a, Value b) => reverse ? rendering.Comparer.Compare(b, a, "<") < 0 : rendering.Comparer.Compare(a, b, "<") < 0;

        // Merge sort of our own: .NET's wraps what the comparison throws, and distrusts orders with NaN in them.
        var merged = new (Value Key, Value Item)[keyed.Length];
        for (var width = 1; width < keyed.Length; width *= 2)
        {
            for (var start = 0; start < keyed.Length; start += 2 * width)
            {
                int middle = Math.Min(start + width, keyed.Length), end = Math.Min(start + 2 * width, keyed.Length);
                for (int left = start, right = middle, to = start; to < end; to++)
                    merged[to] = right >= end || left < middle && !Before(keyed[right].Key, keyed[left].Key) ? keyed[left++] : keyed[right++];
            }
            (keyed, merged) = (merged, keyed);
        }
        return [.. keyed.Select(k => k.Item)];
    }
}

/// <summary>The argument <c>attribute</c> of many filters: <c>"a.b.0"</c>, or a number.</summary>
internal sealed class AttributePath
{
    private readonly List<Value> _parts;

    public AttributePath(Value attribute) => _parts = attribute is TextValue text ? Parse(text.Text) : [attribute];

    private AttributePath(List<Value> parts) => _parts = parts;

    /// <summary>Several paths with commas, as sort takes them.</summary>
    public static IReadOnlyList<AttributePath> Several(Value? attribute) => attribute switch
    {
        null or NoneValue => [new AttributePath([])],
        TextValue text => [.. text.Text.Split(',').Select(part => new AttributePath(Parse(part)))],
        _ => [new AttributePath(attribute)],
    };

    public static AttributePath Optional(Value? attribute) => attribute is null or NoneValue ? new([]) : new(attribute);

    public Value Get(Value item, Rendering rendering, Value? otherwise = null)
    {
        foreach (var part in _parts)
        {
            item = Members.Item(item, part, rendering);
            if (item is UndefinedValue && otherwise is not (null or NoneValue)) item = otherwise;
        }
        return item;
    }

    private static List<Value> Parse(string path) =>
        [.. path.Split('.').Select(part => part.Length is > 0 and < 10 && part.All(char.IsAsciiDigit) ? (Value)IntegerValue.Of(int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)) : new TextValue(part))];
}
