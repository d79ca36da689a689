using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>list or tuple; neither changes once made.</summary>
internal abstract class SequenceValue(IReadOnlyList<Value> items) : Value
{
    public IReadOnlyList<Value> Items { get; } = items;
    public override bool IsTrue => Items.Count > 0;
}

internal sealed class ListValue(IReadOnlyList<Value> items) : SequenceValue(items)
{
    public override string TypeName => "list";
}

internal class TupleValue(IReadOnlyList<Value> items) : SequenceValue(items)
{
    public override string TypeName => "tuple";
}

/// <summary>One group of the filter <c>groupby</c>: a tuple whose parts also have names.</summary>
internal sealed class GroupValue(Value grouper, ListValue members) : TupleValue([grouper, members])
{
    public Value Grouper => Items[0];
    public Value Members => Items[1];
}

/// <summary>dict: keeps the order of its keys; does not change once made.</summary>
internal sealed class MapValue(ValueComparer comparer) : Value
{
    private readonly OrderedDictionary<Value, Value> _entries = new(comparer);

    public int Count => _entries.Count;
    public IEnumerable<KeyValuePair<Value, Value>> Entries => _entries;
    public override string TypeName => "dict";
    public override bool IsTrue => _entries.Count > 0;

    public bool TryGet(Value key, [MaybeNullWhen(false)] out Value value) => _entries.TryGetValue(key, out value);

    /// <summary>While the mapping is being made: a key that comes again keeps its place and takes the new value.</summary>
    public void Put(Value key, Value value) => _entries[key] = value;
}

/// <summary>What <c>keys()</c>, <c>values()</c> and <c>items()</c> of a mapping give.</summary>
internal sealed class MapViewValue(MapValue map, MapViewKind kind) : Value
{
    public MapValue Map { get; } = map;
    public MapViewKind Kind { get; } = kind;
    public override string TypeName => "dict_" + Kind.ToString().ToLowerInvariant();
    public override bool IsTrue => Map.Count > 0;

    public IEnumerable<Value> Items() => Kind switch
    {
        MapViewKind.Keys => Map.Entries.Select(e => e.Key),
        MapViewKind.Values => Map.Entries.Select(e => e.Value),
        _ => Map.Entries.Select(e => new TupleValue([e.Key, e.Value])),
    };
}

internal enum MapViewKind { Keys, Values, Items }

/// <summary>range: never longer than the sandbox of Jinja allows.</summary>
internal sealed class RangeValue(BigInteger start, BigInteger stop, BigInteger step, int count) : Value, IReadOnlyList<Value>
{
    public BigInteger Start { get; } = start;
    public BigInteger Stop { get; } = stop;
    public BigInteger Step { get; } = step;
    public int Count { get; } = count;
    public override string TypeName => "range";
    public override bool IsTrue => Count > 0;

    public Value this[int index] => IntegerValue.Of(Start + Step * index);

    public IEnumerator<Value> GetEnumerator()
    {
        for (var i = 0; i < Count; i++) yield return this[i];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>A generator: works when asked, gives each item once.</summary>
internal sealed class IteratorValue(IEnumerable<Value> items, string typeName = "generator") : Value
{
    private readonly IEnumerator<Value> _items = items.GetEnumerator();

    public override string TypeName => typeName;

    public IEnumerable<Value> Remaining()
    {
        while (_items.MoveNext()) yield return _items.Current;
    }
}

/// <summary>The only value a template can change: <c>namespace(…)</c> and <c>{% set ns.name = … %}</c>.</summary>
internal sealed class NamespaceValue : Value
{
    private readonly OrderedDictionary<string, Value> _attributes = new(StringComparer.Ordinal);

    public IEnumerable<KeyValuePair<string, Value>> Attributes => _attributes;
    public override string TypeName => "Namespace";

    public bool TryGet(string name, [MaybeNullWhen(false)] out Value value) => _attributes.TryGetValue(name, out value);
    public void Set(string name, Value value) => _attributes[name] = value;
}
