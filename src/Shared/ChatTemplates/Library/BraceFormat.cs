using System.Globalization;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>str.format: <c>{}</c>, <c>{0}</c>, <c>{name.attribute[key]!r:specification}</c>. Attributes go through the same gate as in templates.</summary>
internal sealed class BraceFormat
{
    private readonly TextValue _format;
    private readonly CallArguments _arguments;
    private readonly Rendering _rendering;
    private readonly TextBuffer _result;
    private int _next;
    private bool _numbered;

    private BraceFormat(TextValue format, CallArguments arguments, Rendering rendering)
    {
        (_format, _arguments, _rendering) = (format, arguments, rendering);
        _result = new TextBuffer(rendering.Budget);
    }

    public static TextValue Apply(TextValue format, string name, CallArguments arguments, Rendering rendering)
    {
        if (name == "format_map")
        {
            if (arguments.Positional is not [MapValue map] || arguments.Named.Count > 0) throw TemplateException.TypeError("format_map() takes exactly one mapping");
            arguments = new CallArguments([], [.. map.Entries.Where(e => e.Key is TextValue).Select(e => KeyValuePair.Create(((TextValue)e.Key).Text, e.Value))]);
        }
        var formatter = new BraceFormat(format, arguments, rendering);
        formatter.Expand(format.Text, formatter._result, 2);
        return new TextValue(formatter._result.ToString(), format.IsMarkup);
    }

    private void Expand(string format, TextBuffer result, int depth)
    {
        if (depth < 0) throw TemplateException.ValueError("Max string recursion exceeded");
        for (var i = 0; i < format.Length; i++)
        {
            var c = format[i];
            if (c is '{' or '}' && i + 1 < format.Length && format[i + 1] == c) result.Append(format[i++]);
            else if (c == '}') throw TemplateException.ValueError("Single '}' encountered in format string");
            else if (c != '{') result.Append(c);
            else
            {
                var end = FieldEnd(format, i + 1);
                result.Append(Field(format[(i + 1)..end], depth));
                i = end;
            }
        }
    }

    private static int FieldEnd(string format, int start)
    {
        var open = 1;
        for (var i = start; i < format.Length; i++)
        {
            if (format[i] == '{') open++;
            else if (format[i] == '}' && --open == 0) return i;
        }
        throw TemplateException.ValueError("expected '}' before end of string");
    }

    private string Field(string field, int depth)
    {
        var inBrackets = false;
        var end = 0;
        for (; end < field.Length && (inBrackets || field[end] is not ('!' or ':')); end++)
            if (field[end] is '[' or ']') inBrackets = field[end] == '[';
        var value = Resolve(field[..end]);
        if (end < field.Length && field[end] == '!')
        {
            if (end + 1 >= field.Length || end + 2 < field.Length && field[end + 2] != ':') throw TemplateException.ValueError("expected ':' after conversion specifier");
            value = Convert(value, field[end + 1]);
            end += 2;
        }
        var specification = new TextBuffer(_rendering.Budget);
        if (end < field.Length) Expand(field[(end + 1)..], specification, depth - 1);
        var text = FormatSpecification.Format(value, specification.ToString(), _rendering);
        return _format.IsMarkup && value is not TextValue { IsMarkup: true } ? Printer.Escape(new TextValue(text), _rendering.Budget).Text : text;
    }

    private TextValue Convert(Value value, char conversion) => new(conversion switch
    {
        's' => Printer.Str(value, _rendering.Budget),
        'r' => Printer.Repr(value, _rendering.Budget),
        'a' => value is TextValue text ? Printer.Quote(text.Text, asciiOnly: true) : Printer.Repr(value, _rendering.Budget),
        _ => throw TemplateException.ValueError($"Unknown conversion specifier '{conversion}'"),
    });

    private Value Resolve(string path)
    {
        var end = path.IndexOfAny(['.', '[']);
        var value = Argument(end < 0 ? path : path[..end]);
        while (end >= 0 && end < path.Length)
        {
            var isAttribute = path[end] == '.';
            var start = end + 1;
            end = isAttribute ? path.IndexOfAny(['.', '['], start) : path.IndexOf(']', start);
            if (!isAttribute && end < 0) throw TemplateException.ValueError("Missing ']' in format string");
            var part = end < 0 ? path[start..] : path[start..end];
            if (part.Length == 0) throw TemplateException.ValueError("Empty attribute in format string");
            value = isAttribute ? Members.Attribute(value, part, _rendering) : Members.Item(value, Key(part), _rendering);
            if (!isAttribute) end++;
        }
        return value;
    }

    private static Value Key(string text) =>
        text.Length < 10 && text.All(char.IsAsciiDigit) ? IntegerValue.Of(int.Parse(text, CultureInfo.InvariantCulture)) : new TextValue(text);

    private Value Argument(string name)
    {
        if (name.Length > 0 && !(name.Length < 10 && name.All(char.IsAsciiDigit)))
            return _arguments.Find(name) ?? throw TemplateException.Error("KeyError", $"'{name}'");
        if (name.Length == 0 ? _numbered : _next > 0) throw TemplateException.ValueError("cannot switch between manual and automatic field numbering");
        _numbered = name.Length > 0;
        var index = _numbered ? int.Parse(name, CultureInfo.InvariantCulture) : _next++;
        return index < _arguments.Positional.Count ? _arguments.Positional[index] : throw TemplateException.Error("IndexError", "Replacement index out of range for positional args tuple");
    }
}
