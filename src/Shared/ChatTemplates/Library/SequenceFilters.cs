using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

internal static class SequenceFilters
{
    public static void Register(Action<string, string, FilterLibrary.Filter> add)
    {
        add("length count", "", (v, _, _) => IntegerValue.Of(Iteration.Length(v) ?? throw TemplateException.TypeError($"object of type '{v.TypeName}' has no len()")));
        add("list", "", (v, _, r) => new ListValue(Iteration.ToList(v, r.Budget)));
        add("first", "", (v, _, r) => Iteration.Items(v, r.Budget).FirstOrDefault() ?? UndefinedValue.Because("No first item, sequence was empty."));
        add("last", "", (v, _, r) => Reversed(v, r).FirstOrDefault() ?? UndefinedValue.Because("No last item, sequence was empty."));
        add("reverse", "", Reverse);
        add("join", "d? attribute?", Join);
        add("default d", "default_value? boolean?", (v, a, _) => v is UndefinedValue || a.Flag(1) && !v.IsTrue ? a.Value(0, TextValue.Empty) : v);
        add("items", "", (v, _, _) => Items(v));
        add("dictsort", "case_sensitive? by? reverse?", DictSort);
        add("sum", "attribute? start?", Sum);
        add("batch", "linecount fill_with?", (v, a, r) => new IteratorValue(Batch(v, a.Int(0, 0), a[1], r)));
        add("slice", "slices fill_with?", (v, a, r) => new IteratorValue(Slices(v, a.Int(0, 0), a[1], r)));
    }

    private static IEnumerable<Value> Reversed(Value value, Rendering rendering) => value switch
    {
        IteratorValue or LoopValue => throw TemplateException.TypeError($"'{value.TypeName}' object is not reversible"),
        SequenceValue sequence => Enumerable.Range(1, sequence.Items.Count).Select(i => sequence.Items[^i]),
        _ => Enumerable.Reverse(Iteration.ToList(value, rendering.Budget)),
    };

    private static Value Reverse(Value value, BoundArguments arguments, Rendering rendering)
    {
        if (value is TextValue text)
        {
            rendering.Budget.Text(text.Text.Length);
            return new TextValue(CodePoints.Reverse(text.Text), text.IsMarkup);
        }
        if (value is IteratorValue or UndefinedValue)
        {
            var list = Iteration.ToList(value, rendering.Budget);
            list.Reverse();
            return new ListValue(list);
        }
        if (!Iteration.IsIterable(value)) throw TemplateException.Error("FilterArgumentError", "argument must be iterable");
        return new IteratorValue(Reversed(value, rendering), value is ListValue ? "list_reverseiterator" : "reversed");
    }

    private static Value Join(Value value, BoundArguments arguments, Rendering rendering)
    {
        var items = Iteration.Items(value, rendering.Budget);
        if (arguments[1] is { } attribute and not NoneValue)
        {
            var path = new AttributePath(attribute);
            items = items.Select(item => path.Get(item, rendering));
        }
        var result = new TextBuffer(rendering.Budget);
        var separator = "";
        foreach (var item in items)
        {
            result.Append(separator).Append(Printer.Str(item, rendering.Budget));
            separator = Printer.Str(arguments.Value(0, TextValue.Empty), rendering.Budget);
        }
        return new TextValue(result.ToString());
    }

    private static IteratorValue Items(Value value)
    {
        // A generator: that its input is no mapping shows only when it is asked for items.
        static IEnumerable<Value> Pairs(Value value)
        {
            if (value is UndefinedValue) yield break;
            if (value is not MapValue map) throw TemplateException.TypeError("Can only get item pairs from a mapping.");
            foreach (var (key, entry) in map.Entries) yield return new TupleValue([key, entry]);
        }
        return new IteratorValue(Pairs(value));
    }

    private static Value DictSort(Value value, BoundArguments arguments, Rendering rendering)
    {
        var by = arguments.Text(1) ?? "key";
        if (by is not ("key" or "value")) throw TemplateException.Error("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
        if (value is UndefinedValue undefined) throw undefined.Failure();
        if (value is not MapValue map) throw TemplateException.Error("AttributeError", $"'{value.TypeName}' object has no attribute 'items'");
        var entries = map.Entries.Select(e => (Value)new TupleValue([e.Key, e.Value])).ToList();
        var ignoreCase = !arguments.Flag(0);
        return new ListValue(Sorting.Sort(entries, entry => Sorting.Key(((TupleValue)entry).Items[by == "key" ? 0 : 1], ignoreCase), arguments.Flag(2), rendering));
    }

    private static Value Sum(Value value, BoundArguments arguments, Rendering rendering)
    {
        var total = arguments.Value(1, IntegerValue.Of(0));
        if (total is TextValue) throw TemplateException.TypeError("sum() can't sum strings [use ''.join(seq) instead]");
        var path = arguments[0] is { } attribute and not NoneValue ? new AttributePath(attribute) : null;
        foreach (var item in Iteration.Items(value, rendering.Budget))
            total = Arithmetic.Apply(Syntax.Operator.Add, total, path is null ? item : path.Get(item, rendering), rendering);
        return total;
    }

    private static IEnumerable<Value> Batch(Value value, int size, Value? fill, Rendering rendering)
    {
        var batch = new List<Value>();
        foreach (var item in Iteration.Items(value, rendering.Budget))
        {
            if (batch.Count == size)
            {
                yield return new ListValue(batch);
                batch = [];
            }
            rendering.Budget.Items(1);
            batch.Add(item);
        }
        if (batch.Count == 0) yield break;
        if (fill is not (null or NoneValue) && batch.Count < size)
        {
            rendering.Budget.Items(size - batch.Count);
            batch.AddRange(Enumerable.Repeat(fill, size - batch.Count));
        }
        yield return new ListValue(batch);
    }

    private static IEnumerable<Value> Slices(Value value, int slices, Value? fill, Rendering rendering)
    {
        var items = Iteration.ToList(value, rendering.Budget);
        if (slices == 0) throw TemplateException.Error("ZeroDivisionError", "integer division or modulo by zero");
        var start = 0;
        for (var i = 0; i < slices; i++)
        {
            var count = items.Count / slices + (i < items.Count % slices ? 1 : 0);
            rendering.Budget.Items(count + 1);
            var slice = items.GetRange(start, count);
            if (fill is not (null or NoneValue) && i >= items.Count % slices) slice.Add(fill);
            start += count;
            yield return new ListValue(slice);
        }
    }
}
