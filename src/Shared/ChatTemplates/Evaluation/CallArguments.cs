using System.Numerics;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>The arguments of one call, already evaluated.</summary>
internal sealed record CallArguments(IReadOnlyList<Value> Positional, IReadOnlyList<KeyValuePair<string, Value>> Named)
{
    public static readonly CallArguments None = new([], []);

    public Value? Find(string name)
    {
        foreach (var (key, value) in Named)
            if (key == name) return value;
        return null;
    }

    /// <summary>For functions whose parameters have no names, as most of Python's methods.</summary>
    public CallArguments ByPosition(string function) =>
        Named.Count == 0 ? this : throw TemplateException.TypeError($"{function}() takes no keyword arguments");

    public CallArguments Skip(int count) => this with { Positional = [.. Positional.Skip(count)] };

    /// <summary>Lays the arguments into the places of a signature; a place that was left out is null.</summary>
    public BoundArguments Bind(Signature signature)
    {
        var values = new Value?[signature.Parameters.Count];
        if (Positional.Count > values.Length) throw TemplateException.TypeError($"{signature.Name}() takes at most {values.Length} argument(s), {Positional.Count} given");
        for (var i = 0; i < Positional.Count; i++) values[i] = Positional[i];
        foreach (var (name, value) in Named)
        {
            var index = signature.Parameters.IndexOf(name);
            if (index < 0) throw TemplateException.TypeError($"{signature.Name}() got an unexpected keyword argument '{name}'");
            if (values[index] is not null) throw TemplateException.TypeError($"{signature.Name}() got multiple values for argument '{name}'");
            values[index] = value;
        }
        for (var i = 0; i < signature.Required; i++)
            if (values[i] is null) throw TemplateException.TypeError($"{signature.Name}() missing required argument '{signature.Parameters[i]}'");
        return new BoundArguments(signature, values);
    }
}

/// <summary>The parameters of a function of ours: <c>"width fillchar?"</c>, a question mark where one may be left out.</summary>
internal sealed class Signature
{
    public Signature(string name, string parameters)
    {
        Name = name;
        var words = parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Required = words.TakeWhile(w => !w.EndsWith('?')).Count();
        Parameters = [.. words.Select(w => w.TrimEnd('?'))];
    }

    public string Name { get; }
    public List<string> Parameters { get; }
    public int Required { get; }
}

internal readonly record struct BoundArguments(Signature Signature, Value?[] Values)
{
    public Value? this[int index] => Values[index];

    public Value Value(int index, Value otherwise) => Values[index] ?? otherwise;

    public bool Flag(int index) => Values[index]?.IsTrue ?? false;

    /// <summary>A text; null where it is left out or none.</summary>
    public string? Text(int index) => Values[index] switch
    {
        null or NoneValue => null,
        TextValue text => text.Text,
        var other => throw Wrong(index, "str", other),
    };

    public string RequiredText(int index) => Text(index) ?? throw Wrong(index, "str", NoneValue.Instance);

    public int Int(int index, int otherwise) => Values[index] switch
    {
        null or NoneValue => otherwise,
        IntegerValue number => (int)BigInteger.Clamp(number.Number, int.MinValue, int.MaxValue),
        var other => throw Wrong(index, "int", other),
    };

    private TemplateException Wrong(int index, string expected, Value actual) =>
        actual is UndefinedValue undefined
            ? undefined.Failure()
            : TemplateException.TypeError($"{Signature.Name}(): '{Signature.Parameters[index]}' must be {expected}, not {actual.TypeName}");
}
