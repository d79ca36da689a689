using System.Numerics;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>Python's <c>==</c>, <c>&lt;</c> and <c>hash</c>. Charged to the budget, since shared parts make small values with huge trees.</summary>
internal sealed class ValueComparer(Budget budget) : IEqualityComparer<Value>
{
    public bool Equals(Value? a, Value? b)
    {
        if (ReferenceEquals(a, b)) return a is not FloatValue { Number: double.NaN };
        if (a is null || b is null) return false;
        budget.Step();
        return (a, b) switch
        {
            (TextValue x, TextValue y) => SameText(x.Text, y.Text),
            (NumberValue x, NumberValue y) => CompareNumbers(x, y) == 0,
            (ListValue x, ListValue y) => SameItems(x.Items, y.Items),
            (TupleValue x, TupleValue y) => SameItems(x.Items, y.Items),
            (MapValue x, MapValue y) => SameEntries(x, y),
            (RangeValue x, RangeValue y) => x.Count == y.Count && (x.Count == 0 || x.Start == y.Start && (x.Count == 1 || x.Step == y.Step)),
            (UndefinedValue, UndefinedValue) => true,
            _ => false,
        };
    }

    public int GetHashCode(Value value)
    {
        budget.Look(value);
        switch (value)
        {
            case TextValue text: return text.Text.GetHashCode(StringComparison.Ordinal);
            case FloatValue number: return double.IsInteger(number.Number) ? new BigInteger(number.Number).GetHashCode() : number.Number.GetHashCode();
            case IntegerValue number: return number.Number.GetHashCode();
            case TupleValue tuple:
                budget.Enter();
                var hash = new HashCode();
                foreach (var item in tuple.Items) hash.Add(GetHashCode(item));
                budget.Leave();
                return hash.ToHashCode();
            case ListValue or MapValue or MapViewValue { Kind: not MapViewKind.Values }: throw TemplateException.TypeError($"unhashable type: '{value.TypeName}'");
            case UndefinedValue: return 0;
            default: return System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(value);
        }
    }

    /// <summary>Negative, zero or positive; null when one of them is not a number (NaN). Fails where Python has no order.</summary>
    public int? Compare(Value a, Value b, string operation)
    {
        budget.Step();
        switch (a, b)
        {
            case (UndefinedValue undefined, _): throw undefined.Failure();
            case (_, UndefinedValue undefined): throw undefined.Failure();
            case (NumberValue x, NumberValue y): return CompareNumbers(x, y);
            case (TextValue x, TextValue y): return CompareText(x.Text, y.Text);
            case (ListValue x, ListValue y): return CompareItems(x.Items, y.Items, operation);
            case (TupleValue x, TupleValue y): return CompareItems(x.Items, y.Items, operation);
            default: throw TemplateException.TypeError($"'{operation}' not supported between instances of '{a.TypeName}' and '{b.TypeName}'");
        }
    }

    /// <summary>By code points: a surrogate pair comes after every character of one unit.</summary>
    public int CompareText(string a, string b)
    {
        var common = a.AsSpan().CommonPrefixLength(b);
        budget.Step(common / 8);
        if (common == a.Length || common == b.Length) return a.Length.CompareTo(b.Length);
        char x = a[common], y = b[common];
        return char.IsSurrogate(x) != char.IsSurrogate(y) ? char.IsSurrogate(x).CompareTo(char.IsSurrogate(y)) : x.CompareTo(y);
    }

    public static int? CompareNumbers(NumberValue a, NumberValue b)
    {
        if (a is IntegerValue i && b is IntegerValue j) return i.Number.CompareTo(j.Number);
        if (a is FloatValue x && b is FloatValue y) return double.IsNaN(x.Number) || double.IsNaN(y.Number) ? null : x.Number.CompareTo(y.Number);
        if (a is FloatValue f) return CompareExactly(f.Number, ((IntegerValue)b).Number);
        return -CompareExactly(((FloatValue)b).Number, ((IntegerValue)a).Number);
    }

    private static int? CompareExactly(double a, BigInteger b)
    {
        if (double.IsNaN(a)) return null;
        if (double.IsInfinity(a)) return a > 0 ? 1 : -1;
        var whole = new BigInteger(Math.Floor(a));
        var order = whole.CompareTo(b);
        return order == 0 && a != Math.Floor(a) ? 1 : order;
    }

    private bool SameText(string a, string b)
    {
        budget.Step(Math.Min(a.Length, b.Length) / 8);
        return string.Equals(a, b, StringComparison.Ordinal);
    }

    private bool SameItems(IReadOnlyList<Value> a, IReadOnlyList<Value> b)
    {
        if (a.Count != b.Count) return false;
        budget.Enter();
        var same = true;
        for (var i = 0; i < a.Count && same; i++) same = Equals(a[i], b[i]);
        budget.Leave();
        return same;
    }

    private bool SameEntries(MapValue a, MapValue b)
    {
        if (a.Count != b.Count) return false;
        budget.Enter();
        var same = a.Entries.All(e => b.TryGet(e.Key, out var other) && Equals(e.Value, other));
        budget.Leave();
        return same;
    }

    private int? CompareItems(IReadOnlyList<Value> a, IReadOnlyList<Value> b, string operation)
    {
        budget.Enter();
        int? order = null;
        for (var i = 0; ; i++)
        {
            if (i >= a.Count || i >= b.Count) { order = a.Count.CompareTo(b.Count); break; }
            if (Equals(a[i], b[i])) continue;
            order = Compare(a[i], b[i], operation);
            break;
        }
        budget.Leave();
        return order;
    }
}
