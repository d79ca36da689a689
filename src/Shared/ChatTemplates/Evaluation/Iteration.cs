using TokenMill.Shared.ChatTemplates.Library;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>Python's iter, len, list and slices.</summary>
internal static class Iteration
{
    public static bool IsIterable(Value value) => TryItems(value) is not null;

    /// <summary>The items one after another; each costs a step.</summary>
    public static IEnumerable<Value> Items(Value value, Budget budget)
    {
        var items = TryItems(value) ?? throw TemplateException.TypeError($"'{value.TypeName}' object is not iterable");
        return Counted(items, budget);
    }

    public static List<Value> ToList(Value value, Budget budget)
    {
        var list = new List<Value>();
        foreach (var item in Items(value, budget))
        {
            budget.Items(1);
            list.Add(item);
        }
        return list;
    }

    /// <summary>len; null where Python has none.</summary>
    public static int? Length(Value value) => value switch
    {
        TextValue text => text.Length,
        SequenceValue sequence => sequence.Items.Count,
        MapValue map => map.Count,
        MapViewValue view => view.Map.Count,
        RangeValue range => range.Count,
        LoopValue loop => loop.Length,
        UndefinedValue => 0,
        _ => null,
    };

    public static Value Slice(Value owner, Value? start, Value? stop, Value? step, Budget budget)
    {
        if (owner is UndefinedValue undefined) throw undefined.Failure();
        if (owner is not (TextValue or SequenceValue or RangeValue)) throw TemplateException.TypeError($"'{owner.TypeName}' object is not subscriptable with a slice");
        var (first, count, by) = Bounds(Length(owner)!.Value, start, stop, step);
        switch (owner)
        {
            case TextValue text:
                budget.Text(text.Text.Length);
                return new TextValue(SliceText(text, first, count, by), text.IsMarkup);
            case RangeValue range:
                var from = range.Start + range.Step * first;
                return new RangeValue(from, from + range.Step * by * count, range.Step * by, count);
            default:
                budget.Items(count);
                var items = ((SequenceValue)owner).Items;
                var slice = new Value[count];
                for (var i = 0; i < count; i++) slice[i] = items[first + i * by];
                return owner is ListValue ? new ListValue(slice) : new TupleValue(slice);
        }
    }

    private static string SliceText(TextValue text, int first, int count, int by)
    {
        if (count == 0) return "";
        if (text.IsFlat && by == 1) return text.Text.Substring(first, count);
        if (by == 1)
        {
            var begin = CodePoints.Offset(text.Text, first);
            var rest = text.Text[begin..];
            return rest[..CodePoints.Offset(rest, count)];
        }
        var characters = CodePoints.Each(text.Text).ToArray();
        return string.Concat(Enumerable.Range(0, count).Select(i => characters[first + i * by]));
    }

    /// <summary>Python's slice.indices: the first place, how many, and the distance between them.</summary>
    private static (int First, int Count, int By) Bounds(int length, Value? start, Value? stop, Value? step)
    {
        var by = Index(step) ?? 1;
        if (by == 0) throw TemplateException.ValueError("slice step cannot be zero");
        int lowest = by < 0 ? -1 : 0, highest = by < 0 ? length - 1 : length;
        int Place(Value? value, int otherwise)
        {
            if (Index(value) is not { } place) return otherwise;
            return place < 0 ? Math.Max(place + length, lowest) : Math.Min(place, highest);
        }
        var first = Place(start, by < 0 ? highest : lowest);
        var end = Place(stop, by < 0 ? lowest : highest);
        var distance = by < 0 ? first - end : end - first;
        var size = Math.Abs((long)by);
        return (first, distance <= 0 ? 0 : (int)((distance + size - 1) / size), by);
    }

    private static int? Index(Value? value) => value switch
    {
        null or NoneValue => null,
        IntegerValue number => (int)System.Numerics.BigInteger.Clamp(number.Number, int.MinValue / 2, int.MaxValue / 2),
        UndefinedValue undefined => throw undefined.Failure(),
        _ => throw TemplateException.TypeError("slice indices must be integers or None or have an __index__ method"),
    };

    private static IEnumerable<Value>? TryItems(Value value) => value switch
    {
        TextValue text => CodePoints.Each(text.Text).Select(c => new TextValue(c)),
        SequenceValue sequence => sequence.Items,
        MapValue map => map.Entries.Select(e => e.Key),
        MapViewValue view => view.Items(),
        RangeValue range => range,
        IteratorValue iterator => iterator.Remaining(),
        UndefinedValue => [],
        _ => null,
    };

    private static IEnumerable<Value> Counted(IEnumerable<Value> items, Budget budget)
    {
        foreach (var item in items)
        {
            budget.Step();
            yield return item;
        }
    }
}
