using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Filters that choose, change, order or group items. map, select, reject and unique work lazily.</summary>
internal static class SelectionFilters
{
    public static void Register(Action<string, string, FilterLibrary.Filter> add, Action<string, FilterLibrary.RawFilter> addRaw)
    {
        addRaw("map", (v, a, r) => new IteratorValue(Map(v, a, r)));
        addRaw("select", (v, a, r) => new IteratorValue(Select(v, a, wanted: true, byAttribute: false, r)));
        addRaw("reject", (v, a, r) => new IteratorValue(Select(v, a, wanted: false, byAttribute: false, r)));
        addRaw("selectattr", (v, a, r) => new IteratorValue(Select(v, a, wanted: true, byAttribute: true, r)));
        addRaw("rejectattr", (v, a, r) => new IteratorValue(Select(v, a, wanted: false, byAttribute: true, r)));
        add("unique", "case_sensitive? attribute?", (v, a, r) => new IteratorValue(Unique(v, !a.Flag(0), AttributePath.Optional(a[1]), r)));
        add("sort", "reverse? case_sensitive? attribute?", Sort);
        add("min", "case_sensitive? attribute?", (v, a, r) => Extreme(v, a, sign: 1, r));
        add("max", "case_sensitive? attribute?", (v, a, r) => Extreme(v, a, sign: -1, r));
        add("groupby", "attribute default? case_sensitive?", GroupBy);
        add("attr", "name", (v, a, r) => v is MapValue or NamespaceValue && Members.Attribute(v, a.RequiredText(0), r) is var own && own is FunctionValue or UndefinedValue ? own
            : v is MapValue ? UndefinedValue.Member(v, a.RequiredText(0)) : Members.Attribute(v, a.RequiredText(0), r));
    }

    private static IEnumerable<Value> Map(Value value, CallArguments arguments, Rendering rendering)
    {
        if (!value.IsTrue) yield break;
        Func<Value, Value> change;
        if (arguments.Positional.Count == 0 && arguments.Find("attribute") is { } attribute)
        {
            if (arguments.Named.FirstOrDefault(n => n.Key is not ("attribute" or "default")).Key is { } unknown)
                throw TemplateException.Error("FilterArgumentError", $"Unexpected keyword argument '{unknown}'");
            var path = new AttributePath(attribute);
            var otherwise = arguments.Find("default");
            change = item => path.Get(item, rendering, otherwise);
        }
        else
        {
            if (arguments.Positional.Count == 0) throw TemplateException.Error("FilterArgumentError", "map requires a filter argument");
            var name = Printer.Str(arguments.Positional[0], rendering.Budget);
            var rest = arguments.Skip(1);
            change = item => FilterLibrary.Apply(name, item, rest, rendering);
        }
        foreach (var item in Iteration.Items(value, rendering.Budget)) yield return change(item);
    }

    private static IEnumerable<Value> Select(Value value, CallArguments arguments, bool wanted, bool byAttribute, Rendering rendering)
    {
        if (!value.IsTrue) yield break;
        AttributePath? path = null;
        if (byAttribute)
        {
            if (arguments.Positional.Count == 0) throw TemplateException.Error("FilterArgumentError", "Missing parameter for attribute name");
            path = new AttributePath(arguments.Positional[0]);
            arguments = arguments.Skip(1);
        }
        var test = arguments.Positional.Count > 0 ? Printer.Str(arguments.Positional[0], rendering.Budget) : null;
        var rest = arguments.Skip(1);
        foreach (var item in Iteration.Items(value, rendering.Budget))
        {
            var subject = path is null ? item : path.Get(item, rendering);
            if ((test is null ? subject.IsTrue : TestLibrary.Holds(test, subject, rest, rendering)) == wanted) yield return item;
        }
    }

    private static IEnumerable<Value> Unique(Value value, bool ignoreCase, AttributePath path, Rendering rendering)
    {
        var seen = new HashSet<Value>(rendering.Comparer);
        foreach (var item in Iteration.Items(value, rendering.Budget))
        {
            rendering.Budget.Items(1);
            if (seen.Add(Sorting.Key(path.Get(item, rendering), ignoreCase))) yield return item;
        }
    }

    private static Value Sort(Value value, BoundArguments arguments, Rendering rendering)
    {
        var paths = AttributePath.Several(arguments[2]);
        var ignoreCase = !arguments.Flag(1);
        return new ListValue(Sorting.Sort(
            Iteration.ToList(value, rendering.Budget),
            item => new ListValue([.. paths.Select(path => Sorting.Key(path.Get(item, rendering), ignoreCase))]),
            arguments.Flag(0),
            rendering));
    }

    private static Value Extreme(Value value, BoundArguments arguments, int sign, Rendering rendering)
    {
        var path = AttributePath.Optional(arguments[1]);
        Value? best = null, bestKey = null;
        foreach (var item in Iteration.Items(value, rendering.Budget))
        {
            var key = Sorting.Key(path.Get(item, rendering), !arguments.Flag(0));
            if (bestKey is not null && (rendering.Comparer.Compare(key, bestKey, sign > 0 ? "<" : ">") ?? 0) * sign >= 0) continue;
            (best, bestKey) = (item, key);
        }
        return best ?? UndefinedValue.Because("No aggregated item, sequence was empty.");
    }

    private static Value GroupBy(Value value, BoundArguments arguments, Rendering rendering)
    {
        var path = new AttributePath(arguments[0]!);
        var ignoreCase = !arguments.Flag(2);
        Value Key(Value item) => Sorting.Key(path.Get(item, rendering, arguments[1]), ignoreCase);
        var groups = new List<(Value Key, List<Value> Members)>();
        foreach (var item in Sorting.Sort(Iteration.ToList(value, rendering.Budget), Key, reverse: false, rendering))
        {
            var key = Key(item);
            if (groups.Count == 0 || !rendering.Comparer.Equals(groups[^1].Key, key)) groups.Add((key, []));
            groups[^1].Members.Add(item);
        }
        return new ListValue([.. groups.Select(g => new GroupValue(path.Get(g.Members[0], rendering, arguments[1]), new ListValue(g.Members)))]);
    }
}
