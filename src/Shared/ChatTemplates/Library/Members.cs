using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>
/// What stands behind a dot or between brackets. <c>x.name</c> prefers a method, then an entry; <c>x['name']</c> the other way round.
/// Methods that would change a value, and everything internal (<c>__class__</c> …), are undefined values that fail when used.
/// </summary>
internal static class Members
{
    private static readonly HashSet<string> ListMutators = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];
    private static readonly HashSet<string> MapMutators = ["clear", "pop", "popitem", "setdefault", "update"];

    public static Value Attribute(Value owner, string name, Rendering rendering) =>
        OwnAttribute(owner, name, rendering) ?? Entry(owner, new TextValue(name), rendering.Budget) ?? UndefinedValue.Member(owner, name);

    public static Value Item(Value owner, Value key, Rendering rendering)
    {
        if (owner is UndefinedValue undefined) throw undefined.Failure();
        if (Entry(owner, key, rendering.Budget) is { } entry) return entry;
        if (key is not TextValue name) return UndefinedValue.Element(owner);
        return OwnAttribute(owner, name.Text, rendering) ?? UndefinedValue.Member(owner, name.Text);
    }

    private static Value? Entry(Value owner, Value key, Budget budget) => owner switch
    {
        MapValue map when key is not (ListValue or MapValue or MapViewValue) => map.TryGet(key, out var value) ? value : null,
        SequenceValue sequence => Index(key, sequence.Items.Count) is { } i ? sequence.Items[i] : null,
        RangeValue range => Index(key, range.Count) is { } i ? range[i] : null,
        TextValue text => Index(key, text.Length) is { } i ? Character(text, i, budget) : null,
        _ => null,
    };

    private static TextValue Character(TextValue text, int index, Budget budget)
    {
        if (!text.IsFlat) budget.Look(text);
        var offset = text.IsFlat ? index : CodePoints.Offset(text.Text, index);
        return new TextValue(text.Text.Substring(offset, CodePoints.WidthAt(text.Text, offset)), text.IsMarkup);
    }

    private static int? Index(Value key, int count)
    {
        if (key is not IntegerValue { Number: var number }) return null;
        if (number < 0) number += count;
        return number >= 0 && number < count ? (int)number : null;
    }

    private static Value? OwnAttribute(Value owner, string name, Rendering rendering)
    {
        if (owner is UndefinedValue undefined) throw undefined.Failure();
        if (name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal)) return UndefinedValue.Unsafe(owner, name);
        switch (owner)
        {
            case NamespaceValue space: return space.TryGet(name, out var value) ? value : null;
            case TextValue text: return TextMethods.Find(text, name, rendering);
            case MapValue map: return MapMutators.Contains(name) ? UndefinedValue.Unsafe(owner, name) : MapMethod(map, name, rendering);
            case ListValue list when ListMutators.Contains(name): return UndefinedValue.Unsafe(list, name);
            case GroupValue group when name == "grouper": return group.Grouper;
            case GroupValue group when name == "list": return group.Members;
            case SequenceValue sequence: return name == "copy" && owner is ListValue ? new FunctionValue(name, _ => owner) : SequenceMethod(sequence.Items, name, rendering);
            case LoopValue loop: return LoopMember(loop, name, rendering);
            case MacroValue macro: return MacroMember(macro, name);
            case RangeValue range: return name switch { "start" => IntegerValue.Of(range.Start), "stop" => IntegerValue.Of(range.Stop), "step" => IntegerValue.Of(range.Step), _ => SequenceMethod(range, name, rendering) };
            case CyclerValue cycler: return name switch
            {
                "current" => cycler.Current,
                "next" => new FunctionValue(name, _ => cycler.Next()),
                "reset" => new FunctionValue(name, _ => { cycler.Reset(); return NoneValue.Instance; }),
                _ => null,
            };
            case FloatValue number when name == "is_integer": return new FunctionValue(name, _ => BooleanValue.Of(double.IsInteger(number.Number)));
            default: return null;
        }
    }

    private static readonly Signature Get = new("get", "key default?"), Count = new("count", "value"), IndexOf = new("index", "value start? stop?");

    private static FunctionValue? MapMethod(MapValue map, string name, Rendering rendering) => name switch
    {
        "get" => new FunctionValue(name, arguments => arguments.ByPosition(name).Bind(Get) is var bound && map.TryGet(bound[0]!, out var value) ? value : bound.Value(1, NoneValue.Instance)),
        "keys" => new FunctionValue(name, _ => new MapViewValue(map, MapViewKind.Keys)),
        "values" => new FunctionValue(name, _ => new MapViewValue(map, MapViewKind.Values)),
        "items" => new FunctionValue(name, _ => new MapViewValue(map, MapViewKind.Items)),
        "copy" => new FunctionValue(name, _ => map),
        _ => null,
    };

    private static FunctionValue? SequenceMethod(IReadOnlyList<Value> items, string name, Rendering rendering) => name switch
    {
        "count" => new FunctionValue(name, arguments => arguments.ByPosition(name).Bind(Count)[0] is var wanted ? IntegerValue.Of(items.Count(i => rendering.Comparer.Equals(i, wanted))) : NoneValue.Instance),
        "index" => new FunctionValue(name, arguments => Find(items, arguments.ByPosition(name).Bind(IndexOf), rendering)),
        _ => null,
    };

    private static IntegerValue Find(IReadOnlyList<Value> items, BoundArguments arguments, Rendering rendering)
    {
        var (start, stop) = TextMethods.Range(items.Count, arguments.Int(1, 0), arguments.Int(2, int.MaxValue));
        for (var i = start; i < stop; i++)
            if (rendering.Comparer.Equals(items[i], arguments[0])) return IntegerValue.Of(i);
        throw TemplateException.ValueError($"{Printer.Repr(arguments[0]!, rendering.Budget)} is not in list");
    }

    private static Value? LoopMember(LoopValue loop, string name, Rendering rendering) => name switch
    {
        "index" => IntegerValue.Of(loop.Index0 + 1),
        "index0" => IntegerValue.Of(loop.Index0),
        "revindex" => IntegerValue.Of(loop.Length - loop.Index0),
        "revindex0" => IntegerValue.Of(loop.Length - loop.Index0 - 1),
        "first" => BooleanValue.Of(loop.Index0 == 0),
        "last" => BooleanValue.Of(loop.IsLast),
        "length" => IntegerValue.Of(loop.Length),
        "depth" => IntegerValue.Of(loop.Depth0 + 1),
        "depth0" => IntegerValue.Of(loop.Depth0),
        "previtem" => loop.Previous,
        "nextitem" => loop.Next,
        "cycle" => new FunctionValue(name, arguments => loop.Cycle(arguments.Positional)),
        "changed" => new FunctionValue(name, arguments => BooleanValue.Of(loop.Changed(arguments.Positional, rendering.Comparer))),
        _ => null,
    };

    private static Value? MacroMember(MacroValue macro, string name) => name switch
    {
        "name" => macro.Definition.Name is { } text ? new TextValue(text) : NoneValue.Instance,
        "arguments" => new TupleValue([.. macro.Definition.Parameters.Select(p => new TextValue(p.Name))]),
        "catch_kwargs" => BooleanValue.Of(macro.Definition.UsesRestNamed),
        "catch_varargs" => BooleanValue.Of(macro.Definition.UsesRestPositional),
        "caller" => BooleanValue.Of(macro.Definition.UsesCaller),
        _ => null,
    };
}
