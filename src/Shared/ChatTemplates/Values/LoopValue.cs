namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>The variable <c>loop</c> of a for block. Looks one item ahead, and only when asked, so that generators stay lazy.</summary>
internal sealed class LoopValue(IEnumerable<Value> items, int? length, int depth0, Func<Value, int, Value>? recurse) : Value
{
    private IEnumerator<Value> _items = items.GetEnumerator();
    private int? _length = length;
    private Value? _next, _current, _previous;
    private IReadOnlyList<Value>? _lastChanged;

    public int Index0 { get; private set; } = -1;
    public int Depth0 { get; } = depth0;
    public Value Current => _current!;
    public override string TypeName => "LoopContext";

    public int Length
    {
        get
        {
            if (_length is not null) return _length.Value;
            var rest = new List<Value>();
            while (_items.MoveNext()) rest.Add(_items.Current);
            _items = ((IEnumerable<Value>)rest).GetEnumerator();
            _length = rest.Count + Index0 + 1 + (_next is null ? 0 : 1);
            return _length.Value;
        }
    }

    public bool IsLast => Peek() is null;
    public Value Previous => Index0 > 0 ? _previous! : UndefinedValue.Because("there is no previous item");
    public Value Next => Peek() ?? UndefinedValue.Because("there is no next item");

    public bool MoveNext()
    {
        if (Peek() is not { } item) return false;
        _next = null;
        Index0++;
        _previous = _current;
        _current = item;
        return true;
    }

    public Value Cycle(IReadOnlyList<Value> values) =>
        values.Count > 0 ? values[Index0 % values.Count] : throw TemplateException.TypeError("no items for cycling given");

    /// <summary>Whether these values differ from those of the call before.</summary>
    public bool Changed(IReadOnlyList<Value> values, ValueComparer comparer)
    {
        if (_lastChanged is not null && comparer.Equals(new TupleValue(_lastChanged), new TupleValue(values))) return false;
        _lastChanged = values;
        return true;
    }

    public Value Recurse(Value items) => recurse is not null
        ? recurse(items, Depth0 + 1)
        : throw TemplateException.TypeError("The loop must have the 'recursive' marker to be called recursively.");

    private Value? Peek() => _next ??= _items.MoveNext() ? _items.Current : null;
}
