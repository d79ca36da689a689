using TokenMill.Shared.ChatTemplates.Syntax;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>Calls macros: lays the arguments into the parameters, fills in defaults, gives the special names where the body reads them.</summary>
internal sealed class MacroCalls(Rendering rendering, ExpressionEvaluator expressions, Func<IReadOnlyList<Statement>, Scope, string> render)
{
    private const int StepsPerCall = 8;

    public Value Call(MacroValue macro, CallArguments arguments)
    {
        rendering.Budget.Enter();
        rendering.Budget.Items(StepsPerCall);
        var definition = macro.Definition;
        var scope = new Scope(macro.Scope);
        var named = arguments.Named.ToList();
        Value? Take(string name)
        {
            var index = named.FindIndex(n => n.Key == name);
            if (index < 0) return null;
            var value = named[index].Value;
            named.RemoveAt(index);
            return value;
        }

        var missing = new List<(string Name, Expression? Default)>();
        for (var i = 0; i < definition.Parameters.Count; i++)
        {
            var parameter = definition.Parameters[i];
            var value = i < arguments.Positional.Count ? arguments.Positional[i] : Take(parameter.Name);
            if (value is null) missing.Add(parameter);
            else scope.Set(parameter.Name, value);
        }
        if (definition.UsesCaller && !definition.Parameters.Any(p => p.Name == "caller"))
            scope.Set("caller", Take("caller") ?? UndefinedValue.Because("No caller defined"));
        SetRest(definition, arguments, named, scope);
        foreach (var (name, value) in missing)
            scope.Set(name, value is null ? UndefinedValue.Because($"parameter '{name}' was not provided") : expressions.Evaluate(value, scope));

        var text = render(definition.Body, scope);
        rendering.Budget.Leave();
        return new TextValue(text);
    }

    private void SetRest(MacroDefinition definition, CallArguments arguments, List<KeyValuePair<string, Value>> named, Scope scope)
    {
        if (definition.UsesRestNamed)
        {
            var rest = new MapValue(rendering.Comparer);
            foreach (var (name, value) in named) rest.Put(new TextValue(name), value);
            scope.Set("kwargs", rest);
        }
        else if (named.Count > 0) throw TemplateException.TypeError($"macro '{definition.Name}' takes no keyword argument '{named[0].Key}'");

        if (definition.UsesRestPositional) scope.Set("varargs", new TupleValue([.. arguments.Positional.Skip(definition.Parameters.Count)]));
        else if (arguments.Positional.Count > definition.Parameters.Count)
            throw TemplateException.TypeError($"macro '{definition.Name}' takes not more than {definition.Parameters.Count} argument(s)");
    }
}
