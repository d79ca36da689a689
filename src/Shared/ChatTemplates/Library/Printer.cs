using System.Globalization;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Python's str and repr.</summary>
internal static class Printer
{
    public static string Str(Value value, Budget budget)
    {
        switch (value)
        {
            case TextValue text: return text.Text;
            case UndefinedValue: return "";
            default: return Repr(value, budget);
        }
    }

    public static string Repr(Value value, Budget budget)
    {
        var buffer = new TextBuffer(budget);
        Write(value, buffer, budget);
        return buffer.ToString();
    }

    private static void Write(Value value, TextBuffer buffer, Budget budget)
    {
        budget.Look(value);
        budget.Enter();
        switch (value)
        {
            case NoneValue: buffer.Append("None"); break;
            case BooleanValue boolean: buffer.Append(boolean.IsTrue ? "True" : "False"); break;
            case IntegerValue integer: buffer.Append(NumberText.Integer(integer.Number)); break;
            case FloatValue number: buffer.Append(NumberText.Float(number.Number)); break;
            case TextValue { IsMarkup: true } text: buffer.Append("Markup(" + Quote(text.Text, false) + ")"); break;
            case TextValue text: buffer.Append(Quote(text.Text, false)); break;
            case ListValue list: WriteItems("[", list.Items, "]"); break;
            case TupleValue { Items.Count: 1 } tuple: WriteItems("(", tuple.Items, ",)"); break;
            case TupleValue tuple: WriteItems("(", tuple.Items, ")"); break;
            case MapValue map: WriteEntries(map.Entries); break;
            case MapViewValue view: WriteItems(view.TypeName + "([", view.Items(), "])"); break;
            case NamespaceValue space:
                buffer.Append("<Namespace ");
                WriteEntries(space.Attributes.Select(a => KeyValuePair.Create<Value, Value>(new TextValue(a.Key), a.Value)));
                buffer.Append('>');
                break;
            case RangeValue range:
                buffer.Append($"range({NumberText.Integer(range.Start)}, {NumberText.Integer(range.Stop)}{(range.Step.IsOne ? "" : ", " + NumberText.Integer(range.Step))})");
                break;
            case UndefinedValue: buffer.Append("Undefined"); break;
            case MacroValue macro: buffer.Append(macro.Definition.Name is { } name ? $"<Macro '{name}'>" : "<Macro anonymous>"); break;
            case LoopValue loop: buffer.Append(string.Create(CultureInfo.InvariantCulture, $"<LoopContext {loop.Index0 + 1}/{loop.Length}>")); break;
            default: buffer.Append($"<{value.TypeName} object>"); break;
        }
        budget.Leave();

        void WriteItems(string open, IEnumerable<Value> items, string close)
        {
            buffer.Append(open);
            var separator = "";
            foreach (var item in items)
            {
                buffer.Append(separator);
                Write(item, buffer, budget);
                separator = ", ";
            }
            buffer.Append(close);
        }

        void WriteEntries(IEnumerable<KeyValuePair<Value, Value>> entries)
        {
            buffer.Append('{');
            var separator = "";
            foreach (var (key, entry) in entries)
            {
                buffer.Append(separator);
                Write(key, buffer, budget);
                buffer.Append(": ");
                Write(entry, buffer, budget);
                separator = ", ";
            }
            buffer.Append('}');
        }
    }

    /// <summary>A text as a Python literal: in single quotes unless only those occur in it.</summary>
    public static string Quote(string text, bool asciiOnly)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var result = new System.Text.StringBuilder(text.Length + 2).Append(quote);
        for (var i = 0; i < text.Length; i += CodePoints.WidthAt(text, i))
        {
            var c = CodePoints.ValueAt(text, i);
            switch (c)
            {
                case '\\': result.Append("\\\\"); break;
                case '\n': result.Append("\\n"); break;
                case '\r': result.Append("\\r"); break;
                case '\t': result.Append("\\t"); break;
                case var _ when c == quote: result.Append('\\').Append(quote); break;
                case var _ when asciiOnly ? c is >= ' ' and < 0x7f : PythonText.IsPrintable(c): result.Append(text, i, CodePoints.WidthAt(text, i)); break;
                case <= 0xff: result.Append(CultureInfo.InvariantCulture, $"\\x{c:x2}"); break;
                case <= 0xffff: result.Append(CultureInfo.InvariantCulture, $"\\u{c:x4}"); break;
                default: result.Append(CultureInfo.InvariantCulture, $"\\U{c:x8}"); break;
            }
        }
        return result.Append(quote).ToString();
    }

    /// <summary>The characters that mean something in HTML, as Markup escapes them.</summary>
    public static TextValue Escape(Value value, Budget budget)
    {
        if (value is TextValue { IsMarkup: true } markup) return markup;
        var text = Str(value, budget);
        budget.Text(text.Length * 5L);
        return new TextValue(text
            .Replace("&", "&amp;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal)
            .Replace("'", "&#39;", StringComparison.Ordinal).Replace("\"", "&#34;", StringComparison.Ordinal), isMarkup: true);
    }
}
