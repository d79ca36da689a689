using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Syntax;

namespace TokenMill.Shared.ChatTemplates.Values;

/// <summary>A function of ours that a template may call: a global, or a method together with its object.</summary>
internal sealed class FunctionValue(string name, Func<CallArguments, Value> body) : Value
{
    public string Name { get; } = name;
    public Func<CallArguments, Value> Body { get; } = body;
    public override string TypeName => "builtin_function_or_method";
}

/// <summary>A macro of the template, with the scope in which it was defined.</summary>
internal sealed class MacroValue(MacroDefinition definition, Scope scope) : Value
{
    public MacroDefinition Definition { get; } = definition;
    public Scope Scope { get; } = scope;
    public override string TypeName => "Macro";
}

/// <summary>cycler(…): gives its values in turn.</summary>
internal sealed class CyclerValue(IReadOnlyList<Value> items) : Value
{
    private int _position;

    public Value Current => items[_position];
    public override string TypeName => "Cycler";

    public void Reset() => _position = 0;

    public Value Next()
    {
        var current = Current;
        _position = (_position + 1) % items.Count;
        return current;
    }
}
