using System.Text.RegularExpressions;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

internal static partial class TextFilters
{
    [GeneratedRegex(@"([-\s({\[<\x1c-\x1f]+)", RegexOptions.CultureInvariant)]
    private static partial Regex WordBeginnings();

    [GeneratedRegex(@"\w+", RegexOptions.CultureInvariant)]
    private static partial Regex Words();

    public static void Register(Action<string, string, FilterLibrary.Filter> add, Action<string, FilterLibrary.RawFilter> addRaw)
    {
        add("string", "", (v, _, r) => Soft(v, r));
        add("upper", "", (v, _, r) => Like(Soft(v, r), PythonText.Upper, r));
        add("lower", "", (v, _, r) => Like(Soft(v, r), PythonText.Lower, r));
        add("capitalize", "", (v, _, r) => Like(Soft(v, r), PythonText.Capitalize, r));
        add("title", "", (v, _, r) => new TextValue(Title(Soft(v, r).Text)));
        add("trim", "chars?", (v, a, r) => Like(Soft(v, r), text => TextMethods.Strip(text, a.Text(0), true, true), r));
        add("replace", "old new count?", (v, a, r) => TextMethods.Replace(new TextValue(Str(v, r)), Str(a[0]!, r), Str(a[1]!, r), a.Int(2, -1), r));
        add("center", "width?", (v, a, r) => Like(Soft(v, r), text => TextMethods.PadTo(text, a.Int(0, 80), " ", 0.5, r), r));
        add("indent", "width? first? blank?", Indent);
        add("truncate", "length? killwords? end? leeway?", Truncate);
        add("wordwrap", "width? break_long_words? wrapstring? break_on_hyphens?", (v, a, r) => new TextValue(new WordWrap(r.Budget, a.Int(0, 79), a[1]?.IsTrue ?? true, a[3]?.IsTrue ?? true).Apply(Text(v, r), a.Text(2) ?? "\n")));
        add("wordcount", "", CountWords);
        add("tojson", "ensure_ascii? indent? separators? sort_keys?", ToJson);
        addRaw("format", Format);
    }

    /// <summary>The value as a text; Markup stays Markup.</summary>
    public static TextValue Soft(Value value, Rendering rendering) => value as TextValue ?? new TextValue(Str(value, rendering));

    private static string Str(Value value, Rendering rendering) => Printer.Str(value, rendering.Budget);

    private static string Text(Value value, Rendering rendering) => value switch
    {
        TextValue text => text.Text,
        UndefinedValue undefined => throw undefined.Failure(),
        _ => throw TemplateException.Error("AttributeError", $"'{value.TypeName}' object is no text"),
    };

    private static TextValue Like(TextValue text, Func<string, string> change, Rendering rendering)
    {
        rendering.Budget.Text(text.Text.Length);
        return new TextValue(change(text.Text), text.IsMarkup);
    }

    private static string Title(string text) => string.Concat(WordBeginnings().Split(text).Where(part => part.Length > 0).Select(part =>
    {
        var width = CodePoints.WidthAt(part, 0);
        return PythonText.Upper(part[..width]) + PythonText.Lower(part[width..]);
    }));

    private static IntegerValue CountWords(Value value, BoundArguments arguments, Rendering rendering)
    {
        var text = Soft(value, rendering).Text;
        rendering.Budget.Step(text.Length);
        return IntegerValue.Of(Words().Count(text));
    }

    private static Value Indent(Value value, BoundArguments arguments, Rendering rendering)
    {
        var text = value as TextValue ?? throw (value is UndefinedValue undefined ? undefined.Failure() : TemplateException.TypeError($"unsupported operand type(s) for +=: '{value.TypeName}' and 'str'"));
        var indentation = arguments[0] is TextValue given ? given.Text : Spaces(arguments.Int(0, 4), rendering);
        var lines = PythonText.SplitLines(text.Text + "\n");
        var result = new TextBuffer(rendering.Budget);
        for (var i = 0; i < lines.Count; i++)
        {
            if (i > 0) result.Append('\n');
            if (i == 0 ? arguments.Flag(1) : lines[i].Length > 0 || arguments.Flag(2)) result.Append(indentation);
            result.Append(lines[i]);
        }
        return new TextValue(result.ToString(), text.IsMarkup);
    }

    private static string Spaces(int count, Rendering rendering)
    {
        rendering.Budget.Text(Math.Max(0, count));
        return new string(' ', Math.Max(0, count));
    }

    private static Value Truncate(Value value, BoundArguments arguments, Rendering rendering)
    {
        int length = arguments.Int(0, 255), leeway = arguments.Int(3, 5);
        var end = arguments.Text(2) ?? "...";
        if (length < CodePoints.Count(end) || leeway < 0) throw TemplateException.Error("AssertionError", "expected length >= that of the end, and leeway >= 0");
        if (Iteration.Length(value) <= length + (long)leeway) return value;
        var text = Text(value, rendering);
        var cut = text[..CodePoints.Offset(text, length - CodePoints.Count(end))];
        if (!arguments.Flag(1) && cut.LastIndexOf(' ') is >= 0 and var space) cut = cut[..space];
        return new TextValue(cut + end, ((TextValue)value).IsMarkup);
    }

    private static Value ToJson(Value value, BoundArguments arguments, Rendering rendering)
    {
        var indent = arguments[1] switch
        {
            null or NoneValue => null,
            TextValue text => text.Text,
            _ => Spaces(arguments.Int(1, 0), rendering),
        };
        var (item, key) = (indent is null ? ", " : ",", ": ");
        if (arguments[2] is SequenceValue { Items: [TextValue first, TextValue second] }) (item, key) = (first.Text, second.Text);
        return new TextValue(new JsonText(rendering, arguments.Flag(0), indent, item, key, arguments.Flag(3)).Write(value));
    }

    private static Value Format(Value value, CallArguments arguments, Rendering rendering)
    {
        if (arguments.Named.Count == 0) return PercentFormat.Apply(Soft(value, rendering), new TupleValue(arguments.Positional), rendering);
        if (arguments.Positional.Count > 0) throw TemplateException.Error("FilterArgumentError", "can't handle positional and keyword arguments at the same time");
        var map = new MapValue(rendering.Comparer);
        foreach (var (name, argument) in arguments.Named) map.Put(new TextValue(name), argument);
        return PercentFormat.Apply(Soft(value, rendering), map, rendering);
    }
}
