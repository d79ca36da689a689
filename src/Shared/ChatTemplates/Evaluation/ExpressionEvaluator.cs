using TokenMill.Shared.ChatTemplates.Library;
using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

internal sealed class ExpressionEvaluator(Rendering rendering, Func<MacroValue, CallArguments, Value> callMacro)
{
    private readonly Budget _budget = rendering.Budget;

    public Value Evaluate(Expression expression, Scope scope)
    {
        _budget.Step();
        _budget.Enter();
        var value = expression switch
        {
            Constant constant => constant.Value,
            Name name => scope.Find(name.Identifier) ?? UndefinedValue.Name(name.Identifier),
            AttributeAccess access => Members.Attribute(Evaluate(access.Owner, scope), access.Attribute, rendering),
            ItemAccess access => Members.Item(Evaluate(access.Owner, scope), Evaluate(access.Key, scope), rendering),
            SliceAccess slice => Iteration.Slice(Evaluate(slice.Owner, scope), Optional(slice.Start, scope), Optional(slice.Stop, scope), Optional(slice.Step, scope), _budget),
            Call call => Invoke(Evaluate(call.Callee, scope), EvaluateArguments(call.Arguments, scope)),
            Filtered { Input: { } input } filtered => FilterLibrary.Apply(filtered.Filter, Evaluate(input, scope), EvaluateArguments(filtered.Arguments, scope), rendering),
            Tested tested => BooleanValue.Of(TestLibrary.Holds(tested.Test, Evaluate(tested.Input, scope), EvaluateArguments(tested.Arguments, scope), rendering)),
            Not not => BooleanValue.Of(!Evaluate(not.Operand, scope).IsTrue),
            And and => Evaluate(and.Left, scope) is var left && left.IsTrue ? Evaluate(and.Right, scope) : left,
            Or or => Evaluate(or.Left, scope) is var left && left.IsTrue ? left : Evaluate(or.Right, scope),
            Comparison comparison => Compare(comparison, scope),
            Concatenation concatenation => Concatenate(concatenation, scope),
            Binary binary => Arithmetic.Apply(binary.Operator, Evaluate(binary.Left, scope), Evaluate(binary.Right, scope), rendering),
            Unary unary => Arithmetic.Negate(Evaluate(unary.Operand, scope), unary.Negative),
            Conditional conditional => Choose(conditional, scope),
            ListLiteral list => new ListValue(EvaluateAll(list.Items, scope)),
            TupleLiteral tuple => new TupleValue(EvaluateAll(tuple.Items, scope)),
            MapLiteral map => MakeMap(map, scope),
            _ => throw new InvalidOperationException($"no rule for {expression.GetType().Name}"),
        };
        _budget.Leave();
        return value;
    }

    /// <summary>The filters of a set or filter block, on the text of the block.</summary>
    public Value ApplyFilters(Expression filters, Value input, Scope scope)
    {
        var filtered = (Filtered)filters;
        if (filtered.Input is not null) input = ApplyFilters(filtered.Input, input, scope);
        return FilterLibrary.Apply(filtered.Filter, input, EvaluateArguments(filtered.Arguments, scope), rendering);
    }

    public Value Invoke(Value callee, CallArguments arguments) => callee switch
    {
        FunctionValue function => function.Body(arguments),
        MacroValue macro => callMacro(macro, arguments),
        LoopValue loop => loop.Recurse(arguments.Bind(LoopSignature)[0]!),
        UndefinedValue undefined => throw undefined.Failure(),
        _ => throw TemplateException.TypeError($"'{callee.TypeName}' object is not callable"),
    };

    private static readonly Signature LoopSignature = new("loop", "iterable");

    public CallArguments EvaluateArguments(Arguments arguments, Scope scope)
    {
        if (ReferenceEquals(arguments, Arguments.None)) return CallArguments.None;
        var positional = new List<Value>(EvaluateAll(arguments.Positional, scope));
        var named = new List<KeyValuePair<string, Value>>();
        foreach (var (name, value) in arguments.Named) named.Add(new(name, Evaluate(value, scope)));
        if (arguments.RestPositional is { } rest) positional.AddRange(Iteration.ToList(Evaluate(rest, scope), _budget));
        if (arguments.RestNamed is { } restNamed) AddNamed(named, Evaluate(restNamed, scope));
        return new CallArguments(positional, named);
    }

    private void AddNamed(List<KeyValuePair<string, Value>> named, Value value)
    {
        if (value is not MapValue map) throw TemplateException.TypeError("argument after ** must be a mapping");
        _budget.Items(map.Count);
        foreach (var (key, entry) in map.Entries)
        {
            if (key is not TextValue name) throw TemplateException.TypeError("keywords must be strings");
            if (named.Exists(n => n.Key == name.Text)) throw TemplateException.TypeError($"got multiple values for keyword argument '{name.Text}'");
            named.Add(new(name.Text, entry));
        }
    }

    private Value? Optional(Expression? expression, Scope scope) => expression is null ? null : Evaluate(expression, scope);

    private Value[] EvaluateAll(IReadOnlyList<Expression> expressions, Scope scope)
    {
        if (expressions.Count == 0) return [];
        _budget.Items(expressions.Count);
        var values = new Value[expressions.Count];
        for (var i = 0; i < values.Length; i++) values[i] = Evaluate(expressions[i], scope);
        return values;
    }

    private MapValue MakeMap(MapLiteral literal, Scope scope)
    {
        _budget.Items(literal.Entries.Count * 2);
        var map = new MapValue(rendering.Comparer);
        foreach (var (key, value) in literal.Entries) map.Put(Evaluate(key, scope), Evaluate(value, scope));
        return map;
    }

    private BooleanValue Compare(Comparison comparison, Scope scope)
    {
        var left = Evaluate(comparison.First, scope);
        foreach (var (relation, operand) in comparison.Rest)
        {
            var right = Evaluate(operand, scope);
            if (!Relations.Holds(relation, left, right, rendering)) return BooleanValue.False;
            left = right;
        }
        return BooleanValue.True;
    }

    private TextValue Concatenate(Concatenation concatenation, Scope scope)
    {
        var parts = new string[concatenation.Parts.Count];
        for (var i = 0; i < parts.Length; i++) parts[i] = Printer.Str(Evaluate(concatenation.Parts[i], scope), _budget);
        _budget.Text(parts.Sum(p => (long)p.Length));
        return new TextValue(string.Concat(parts));
    }

    private Value Choose(Conditional conditional, Scope scope)
    {
        if (Evaluate(conditional.Test, scope).IsTrue) return Evaluate(conditional.Then, scope);
        return conditional.Else is not null ? Evaluate(conditional.Else, scope) : UndefinedValue.Because("the inline if-expression evaluated to false and no else section was defined.");
    }
}
