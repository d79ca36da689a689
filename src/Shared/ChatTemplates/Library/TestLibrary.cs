using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>What may stand after <c>is</c>.</summary>
internal static class TestLibrary
{
    private delegate bool Test(Value value, BoundArguments arguments, Rendering rendering);

    private static readonly Dictionary<string, (Signature Signature, Test Body)> Tests = [];

    static TestLibrary()
    {
        Add("defined", "", (v, _, _) => v is not UndefinedValue);
        Add("undefined", "", (v, _, _) => v is UndefinedValue);
        Add("none", "", (v, _, _) => v is NoneValue);
        Add("boolean", "", (v, _, _) => v is BooleanValue);
        Add("true", "", (v, _, _) => ReferenceEquals(v, BooleanValue.True));
        Add("false", "", (v, _, _) => ReferenceEquals(v, BooleanValue.False));
        Add("integer", "", (v, _, _) => v is IntegerValue and not BooleanValue);
        Add("float", "", (v, _, _) => v is FloatValue);
        Add("number", "", (v, _, _) => v is NumberValue);
        Add("string", "", (v, _, _) => v is TextValue);
        Add("mapping", "", (v, _, _) => v is MapValue);
        Add("sequence", "", (v, _, _) => v is TextValue or SequenceValue or MapValue or RangeValue or UndefinedValue);
        Add("iterable", "", (v, _, _) => Iteration.IsIterable(v) || v is LoopValue);
        Add("callable", "", (v, _, _) => v is FunctionValue or MacroValue or LoopValue or UndefinedValue);
        Add("escaped", "", (v, _, _) => v is TextValue { IsMarkup: true });
        Add("lower", "", (v, _, r) => TextMethods.IsCase(Printer.Str(v, r.Budget), upper: false));
        Add("upper", "", (v, _, r) => TextMethods.IsCase(Printer.Str(v, r.Budget), upper: true));
        Add("odd", "", (v, _, r) => Remainder(v, IntegerValue.Of(2), 1, r));
        Add("even", "", (v, _, r) => Remainder(v, IntegerValue.Of(2), 0, r));
        Add("divisibleby", "num", (v, a, r) => Remainder(v, a[0]!, 0, r));
        Add("sameas", "other", (v, a, _) => IsSame(v, a[0]!));
        Add("in", "seq", (v, a, r) => Relations.Contains(a[0]!, v, r));
        Add("filter", "", (v, _, _) => v is TextValue name && FilterLibrary.Exists(name.Text));
        Add("test", "", (v, _, _) => v is TextValue name && Exists(name.Text));
        AddRelation(Relation.Equal, "==", "eq", "equalto");
        AddRelation(Relation.NotEqual, "!=", "ne");
        AddRelation(Relation.Greater, ">", "gt", "greaterthan");
        AddRelation(Relation.GreaterOrEqual, ">=", "ge");
        AddRelation(Relation.Less, "<", "lt", "lessthan");
        AddRelation(Relation.LessOrEqual, "<=", "le");
    }

    public static bool Exists(string name) => Tests.ContainsKey(name);

    public static bool Holds(string name, Value value, CallArguments arguments, Rendering rendering)
    {
        rendering.Budget.Look(value);
        if (!Tests.TryGetValue(name, out var test)) throw TemplateException.Error("TemplateRuntimeError", $"No test named '{name}' found.");
        return test.Body(value, arguments.Bind(test.Signature), rendering);
    }

    private static void Add(string name, string parameters, Test test) => Tests[name] = (new Signature(name, parameters), test);

    private static void AddRelation(Relation relation, params string[] names)
    {
        foreach (var name in names) Add(name, "other", (v, a, r) => Relations.Holds(relation, v, a[0]!, r));
    }

    private static bool Remainder(Value value, Value divisor, int expected, Rendering rendering) =>
        rendering.Comparer.Equals(Arithmetic.Apply(Operator.Modulo, value, divisor, rendering), IntegerValue.Of(expected));

    /// <summary>Python's <c>is</c>, where equal small constants are one object.</summary>
    private static bool IsSame(Value a, Value b) =>
        ReferenceEquals(a, b) || a.GetType() == b.GetType() && (a, b) is (IntegerValue x, IntegerValue y) && x.Number == y.Number
        || (a, b) is (TextValue { IsMarkup: false } s, TextValue { IsMarkup: false } t) && s.Text == t.Text;
}
