using System.Numerics;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Functions that every template may call: Jinja's own (but not lipsum, which is random) and those of the transformers library.</summary>
internal static class Globals
{
    /// <summary>The sandbox of Jinja allows no longer range.</summary>
    private const int MaxRange = 100_000;

    private static readonly Signature Message = new("raise_exception", "message");
    private static readonly Signature Format = new("strftime_now", "format");
    private static readonly Signature Separator = new("joiner", "sep?");

    public static Dictionary<string, Value> Create(Rendering rendering) => new List<FunctionValue>
    {
        new("raise_exception", arguments => throw new TemplateException(TemplateErrorKind.RaiseException, Printer.Str(arguments.Bind(Message)[0]!, rendering.Budget))),
        new("strftime_now", arguments => Date(arguments.Bind(Format).RequiredText(0), rendering)),
        new("namespace", arguments => Namespace(arguments, rendering)),
        new("dict", arguments => Map(arguments, rendering)),
        new("range", Range),
        new("cycler", arguments => arguments.Positional.Count > 0 ? new CyclerValue(arguments.Positional) : throw TemplateException.Error("RuntimeError", "at least one item has to be provided")),
        new("joiner", arguments => Joiner(arguments.Bind(Separator).Value(0, new TextValue(", ")))),
    }.ToDictionary(function => function.Name, Value (function) => function, StringComparer.Ordinal);

    private static TextValue Date(string format, Rendering rendering)
    {
        rendering.Budget.Text(format.Length * 16L);
        return new TextValue(DateFormat.Apply(format, rendering.Now));
    }

    private static NamespaceValue Namespace(CallArguments arguments, Rendering rendering)
    {
        var space = new NamespaceValue();
        foreach (var (key, value) in Map(arguments, rendering).Entries)
            space.Set(key is TextValue name ? name.Text : throw TemplateException.TypeError("attribute names are strings"), value);
        return space;
    }

    private static MapValue Map(CallArguments arguments, Rendering rendering)
    {
        if (arguments.Positional.Count > 1) throw TemplateException.TypeError($"dict expected at most 1 argument, got {arguments.Positional.Count}");
        var map = new MapValue(rendering.Comparer);
        if (arguments.Positional is [MapValue given])
        {
            rendering.Budget.Items(given.Count * 2);
            foreach (var (key, value) in given.Entries) map.Put(key, value);
        }
        else if (arguments.Positional is [var pairs])
        {
            foreach (var pair in Iteration.Items(pairs, rendering.Budget))
            {
                if (Iteration.ToList(pair, rendering.Budget) is not [var key, var value]) throw TemplateException.ValueError("dictionary update sequence element has not length 2");
                rendering.Budget.Items(2);
                map.Put(key, value);
            }
        }
        foreach (var (name, value) in arguments.Named) map.Put(new TextValue(name), value);
        return map;
    }

    private static RangeValue Range(CallArguments arguments)
    {
        if (arguments.Named.Count > 0 || arguments.Positional.Count is 0 or > 3) throw TemplateException.TypeError("range expected 1 to 3 arguments");
        BigInteger Number(int index) => arguments.Positional[index] switch
        {
            IntegerValue number => number.Number,
            UndefinedValue undefined => throw undefined.Failure(),
            var other => throw TemplateException.TypeError($"'{other.TypeName}' object cannot be interpreted as an integer"),
        };
        var (start, stop) = arguments.Positional.Count == 1 ? (BigInteger.Zero, Number(0)) : (Number(0), Number(1));
        var step = arguments.Positional.Count == 3 ? Number(2) : BigInteger.One;
        if (step.IsZero) throw TemplateException.ValueError("range() arg 3 must not be zero");
        var distance = step.Sign > 0 ? stop - start : start - stop;
        var count = distance.Sign <= 0 ? 0 : (distance + BigInteger.Abs(step) - 1) / BigInteger.Abs(step);
        return count <= MaxRange
            ? new RangeValue(start, stop, step, (int)count)
            : throw TemplateException.Error("OverflowError", $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({MaxRange}).");
    }

    private static FunctionValue Joiner(Value separator)
    {
        var used = false;
        return new FunctionValue("joiner", _ =>
        {
            if (used) return separator;
            used = true;
            return TextValue.Empty;
        });
    }
}
