using System.Globalization;
using System.Text;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>The methods of str. On Markup, results are Markup again and texts that come in are escaped.</summary>
internal static class TextMethods
{
    private delegate Value Method(TextValue self, BoundArguments arguments, Rendering rendering);

    private static readonly Dictionary<string, (Signature Signature, Method Body)> Methods = [];

    static TextMethods()
    {
        Add("upper", "", (s, _, r) => Same(s, PythonText.Upper(s.Text), r));
        Add("lower", "", (s, _, r) => Same(s, PythonText.Lower(s.Text), r));
        Add("casefold", "", (s, _, r) => Same(s, PythonText.Lower(s.Text).Replace("ß", "ss", StringComparison.Ordinal), r));
        Add("capitalize", "", (s, _, r) => Same(s, PythonText.Capitalize(s.Text), r));
        Add("title", "", (s, _, r) => Same(s, Title(s.Text), r));
        Add("swapcase", "", (s, _, r) => Same(s, string.Concat(CodePoints.Each(s.Text).Select(SwapCase)), r));
        Add("strip", "chars?", (s, a, r) => Same(s, Strip(s.Text, a.Text(0), true, true), r));
        Add("lstrip", "chars?", (s, a, r) => Same(s, Strip(s.Text, a.Text(0), true, false), r));
        Add("rstrip", "chars?", (s, a, r) => Same(s, Strip(s.Text, a.Text(0), false, true), r));
        Add("removeprefix", "prefix", (s, a, r) => Same(s, s.Text.StartsWith(a.RequiredText(0), StringComparison.Ordinal) ? s.Text[a.RequiredText(0).Length..] : s.Text, r));
        Add("removesuffix", "suffix", (s, a, r) => Same(s, a.RequiredText(0) is { Length: > 0 } suffix && s.Text.EndsWith(suffix, StringComparison.Ordinal) ? s.Text[..^suffix.Length] : s.Text, r));
        Add("replace", "old new count?", (s, a, r) => Replace(s, a.RequiredText(0), Incoming(s, a[1]!, a.RequiredText(1), r), a.Int(2, -1), r));
        Add("startswith", "prefix start? end?", (s, a, _) => BooleanValue.Of(Affix(s, a, (text, affix) => text.StartsWith(affix, StringComparison.Ordinal))));
        Add("endswith", "suffix start? end?", (s, a, _) => BooleanValue.Of(Affix(s, a, (text, affix) => text.EndsWith(affix, StringComparison.Ordinal))));
        Add("find", "sub start? end?", (s, a, _) => IntegerValue.Of(Find(s, a, last: false)));
        Add("rfind", "sub start? end?", (s, a, _) => IntegerValue.Of(Find(s, a, last: true)));
        Add("index", "sub start? end?", (s, a, _) => IntegerValue.Of(Found(Find(s, a, last: false))));
        Add("rindex", "sub start? end?", (s, a, _) => IntegerValue.Of(Found(Find(s, a, last: true))));
        Add("count", "sub start? end?", (s, a, _) => IntegerValue.Of(Count(Part(s, a).Text, a.RequiredText(0))));
        Add("split", "sep? maxsplit?", (s, a, r) => TextSplitting.Split(s, a.Text(0), a.Int(1, -1), fromEnd: false, r));
        Add("rsplit", "sep? maxsplit?", (s, a, r) => TextSplitting.Split(s, a.Text(0), a.Int(1, -1), fromEnd: true, r));
        Add("splitlines", "keepends?", (s, a, r) => TextSplitting.ToList(s, PythonText.SplitLines(s.Text, a.Flag(0)), r));
        Add("partition", "sep", (s, a, r) => TextSplitting.Partition(s, a.RequiredText(0), last: false, r));
        Add("rpartition", "sep", (s, a, r) => TextSplitting.Partition(s, a.RequiredText(0), last: true, r));
        Add("join", "iterable", (s, a, r) => Join(s, a[0]!, r));
        Add("ljust", "width fillchar?", (s, a, r) => Pad(s, a, 1, r));
        Add("rjust", "width fillchar?", (s, a, r) => Pad(s, a, 0, r));
        Add("center", "width fillchar?", (s, a, r) => Pad(s, a, 0.5, r));
        Add("zfill", "width", ZeroFill);
        Add("expandtabs", "tabsize?", ExpandTabs);
        AddCheck("isalpha", c => Category(c) <= UnicodeCategory.OtherLetter);
        AddCheck("isalnum", c => Category(c) is <= UnicodeCategory.OtherLetter or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber);
        AddCheck("isdecimal", c => Category(c) == UnicodeCategory.DecimalDigitNumber);
        AddCheck("isnumeric", c => Category(c) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber);
        AddCheck("isdigit", c => CharUnicodeInfo.GetDigitValue(char.ConvertFromUtf32(c is >= 0xd800 and <= 0xdfff ? 'x' : c), 0) >= 0);
        AddCheck("isspace", c => c <= char.MaxValue && PythonText.IsSpace((char)c));
        AddCheck("isascii", c => c < 128, emptyPasses: true);
        AddCheck("isprintable", PythonText.IsPrintable, emptyPasses: true);
        Add("isidentifier", "", (s, _, _) => BooleanValue.Of(PythonText.IsIdentifier(s.Text)));
        Add("islower", "", (s, _, _) => BooleanValue.Of(IsCase(s.Text, upper: false)));
        Add("isupper", "", (s, _, _) => BooleanValue.Of(IsCase(s.Text, upper: true)));
        Add("istitle", "", (s, _, _) => BooleanValue.Of(Enumerable.Range(0, s.Text.Length).Any(i => PythonText.IsCased(s.Text, i)) && Title(s.Text) == s.Text));
    }

    public static Value? Find(TextValue self, string name, Rendering rendering)
    {
        if (name is "format" or "format_map") return new FunctionValue(name, arguments => BraceFormat.Apply(self, name, arguments, rendering));
        if (!Methods.TryGetValue(name, out var method)) return null;
        return new FunctionValue(name, arguments =>
        {
            rendering.Budget.Look(self);
            if (name is not ("split" or "rsplit" or "splitlines" or "expandtabs")) arguments.ByPosition(name);
            return method.Body(self, arguments.Bind(method.Signature), rendering);
        });
    }

    public static bool IsCase(string text, bool upper)
    {
        var any = false;
        for (var i = 0; i < text.Length; i += CodePoints.WidthAt(text, i))
        {
            if (!PythonText.IsCased(text, i)) continue;
            var isUpper = CharUnicodeInfo.GetUnicodeCategory(CodePoints.ValueAt(text, i)) == UnicodeCategory.UppercaseLetter;
            if (isUpper != upper) return false;
            any = true;
        }
        return any;
    }

    /// <summary>Start and end as Python's methods take them: negative ones count from the end.</summary>
    public static (int Start, int Stop) Range(int length, int start, int stop)
    {
        int Place(int index) => index < 0 ? Math.Max(0, index + length) : Math.Min(index, length);
        return (start > length ? length + 1 : Place(start), Place(stop));
    }

    public static string Strip(string text, string? characters, bool start, bool end)
    {
        if (characters is null) return start ? end ? PythonText.Trim(text) : PythonText.TrimStart(text) : PythonText.TrimEnd(text);
        var set = CodePoints.Each(characters).ToHashSet();
        int from = 0, to = text.Length;
        while (start && from < to && set.Contains(text.Substring(from, CodePoints.WidthAt(text, from)))) from += CodePoints.WidthAt(text, from);
        while (end && to > from)
        {
            var width = to - 2 >= from && char.IsSurrogatePair(text[to - 2], text[to - 1]) ? 2 : 1;
            if (!set.Contains(text.Substring(to - width, width))) break;
            to -= width;
        }
        return text[from..to];
    }

    public static TextValue Replace(TextValue self, string old, string @new, int count, Rendering rendering)
    {
        var limit = count < 0 ? int.MaxValue : count;
        var result = new TextBuffer(rendering.Budget);
        var position = 0;
        if (old.Length == 0)
        {
            while (limit-- > 0)
            {
                result.Append(@new);
                if (position >= self.Text.Length) break;
                var width = CodePoints.WidthAt(self.Text, position);
                result.Append(self.Text.Substring(position, width));
                position += width;
            }
        }
        else
        {
            for (int next; limit-- > 0 && (next = self.Text.IndexOf(old, position, StringComparison.Ordinal)) >= 0; position = next + old.Length)
                result.Append(self.Text[position..next]).Append(@new);
        }
        return new TextValue(result.Append(self.Text[Math.Min(position, self.Text.Length)..]).ToString(), self.IsMarkup);
    }

    private static void Add(string name, string parameters, Method body) => Methods[name] = (new Signature(name, parameters), body);

    /// <summary>A question that every code point has to answer with yes.</summary>
    private static void AddCheck(string name, Func<int, bool> holds, bool emptyPasses = false) => Add(name, "", (s, _, r) =>
    {
        r.Budget.Step(s.Text.Length);
        for (var i = 0; i < s.Text.Length; i += CodePoints.WidthAt(s.Text, i))
            if (!holds(CodePoints.ValueAt(s.Text, i))) return BooleanValue.False;
        return BooleanValue.Of(emptyPasses || s.Text.Length > 0);
    });

    private static UnicodeCategory Category(int codePoint) => CharUnicodeInfo.GetUnicodeCategory(codePoint);

    private static TextValue Same(TextValue self, string text, Rendering rendering)
    {
        rendering.Budget.Text(text.Length);
        return new TextValue(text, self.IsMarkup);
    }

    private static string Incoming(TextValue self, Value argument, string text, Rendering rendering) =>
        self.IsMarkup ? Printer.Escape(argument, rendering.Budget).Text : text;

    private static TextValue Part(TextValue self, BoundArguments arguments)
    {
        if (arguments[1] is null && arguments[2] is null) return self;
        var (start, stop) = Range(self.Length, arguments.Int(1, 0), arguments.Int(2, int.MaxValue));
        if (start >= stop) return TextValue.Empty;
        return new TextValue(self.Text[CodePoints.Offset(self.Text, start)..CodePoints.Offset(self.Text, stop)]);
    }

    private static bool Affix(TextValue self, BoundArguments arguments, Func<string, string, bool> holds)
    {
        if (arguments[1] is not null && arguments.Int(1, 0) > self.Length) return false;
        var text = Part(self, arguments).Text;
        return arguments[0] is TupleValue several
            ? several.Items.Any(a => holds(text, a is TextValue affix ? affix.Text : throw TemplateException.TypeError("tuple for startswith must only contain str")))
            : holds(text, arguments.RequiredText(0));
    }

    private static int Find(TextValue self, BoundArguments arguments, bool last)
    {
        var wanted = arguments.RequiredText(0);
        var (start, stop) = Range(self.Length, arguments.Int(1, 0), arguments.Int(2, int.MaxValue));
        if (start > stop) return -1;
        var part = Part(self, arguments).Text;
        var at = last ? wanted.Length == 0 ? part.Length : part.LastIndexOf(wanted, StringComparison.Ordinal) : part.IndexOf(wanted, StringComparison.Ordinal);
        return at < 0 ? -1 : start + CodePoints.Count(part[..at]);
    }

    private static int Found(int index) => index >= 0 ? index : throw TemplateException.ValueError("substring not found");

    private static int Count(string text, string wanted)
    {
        if (wanted.Length == 0) return CodePoints.Count(text) + 1;
        var count = 0;
        for (var i = text.IndexOf(wanted, StringComparison.Ordinal); i >= 0; i = text.IndexOf(wanted, i + wanted.Length, StringComparison.Ordinal)) count++;
        return count;
    }

    private static TextValue Join(TextValue self, Value items, Rendering rendering)
    {
        var result = new TextBuffer(rendering.Budget);
        var separator = "";
        foreach (var item in Iteration.Items(items, rendering.Budget))
        {
            if (item is not TextValue text) throw TemplateException.TypeError($"sequence item: expected str instance, {item.TypeName} found");
            result.Append(separator).Append(Incoming(self, text, text.Text, rendering));
            separator = self.Text;
        }
        return new TextValue(result.ToString(), self.IsMarkup);
    }

    private static TextValue Pad(TextValue self, BoundArguments arguments, double shareBehind, Rendering rendering)
    {
        var fill = arguments.Text(1) ?? " ";
        if (CodePoints.Count(fill) != 1) throw TemplateException.TypeError("The fill character must be exactly one character long");
        return new TextValue(PadTo(self.Text, arguments.Int(0, 0), fill, shareBehind, rendering), self.IsMarkup);
    }

    /// <summary>Fills up to a width, with this share of the filling behind the text (1, 0, or ½ as Python's center does it).</summary>
    public static string PadTo(string text, int width, string fill, double shareBehind, Rendering rendering)
    {
        var missing = Math.Max(0, width - CodePoints.Count(text));
        rendering.Budget.Text(text.Length + (long)missing * fill.Length);
        var before = shareBehind switch { 1 => 0, 0 => missing, _ => missing / 2 + (missing & width & 1) };
        return string.Concat(Enumerable.Repeat(fill, before)) + text + string.Concat(Enumerable.Repeat(fill, missing - before));
    }

    private static TextValue ZeroFill(TextValue self, BoundArguments arguments, Rendering rendering)
    {
        var sign = self.Text.Length > 0 && self.Text[0] is '+' or '-' ? 1 : 0;
        return new TextValue(self.Text[..sign] + PadTo(self.Text[sign..], arguments.Int(0, 0) - sign, "0", 0, rendering), self.IsMarkup);
    }

    private static TextValue ExpandTabs(TextValue self, BoundArguments arguments, Rendering rendering)
    {
        var size = arguments.Int(0, 8);
        var result = new TextBuffer(rendering.Budget);
        var column = 0;
        foreach (var c in CodePoints.Each(self.Text))
        {
            if (c == "\t")
            {
                var spaces = size > 0 ? size - column % size : 0;
                rendering.Budget.Text(spaces);
                result.Append(new string(' ', spaces));
                column += spaces;
                continue;
            }
            result.Append(c);
            column = c is "\n" or "\r" ? 0 : column + 1;
        }
        return new TextValue(result.ToString(), self.IsMarkup);
    }

    private static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        var insideWord = false;
        for (var i = 0; i < text.Length; i += CodePoints.WidthAt(text, i))
        {
            var character = text.Substring(i, CodePoints.WidthAt(text, i));
            result.Append(insideWord ? PythonText.Lower(character) : PythonText.TitleCase(character));
            insideWord = PythonText.IsCased(text, i);
        }
        return result.ToString();
    }

    private static string SwapCase(string character) =>
        PythonText.Upper(character) is var upper && upper != character ? upper : PythonText.Lower(character);
}
