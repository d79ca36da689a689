using System.Globalization;
using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>Python's json.dumps, which is what the filter tojson of the transformers library calls.</summary>
internal sealed class JsonText(Rendering rendering, bool asciiOnly, string? indent, string itemSeparator, string keySeparator, bool sortKeys)
{
    private readonly TextBuffer _buffer = new(rendering.Budget);

    public string Write(Value value)
    {
        Write(value, 0);
        return _buffer.ToString();
    }

    private void Write(Value value, int level)
    {
        rendering.Budget.Step();
        rendering.Budget.Enter();
        switch (value)
        {
            case NoneValue: _buffer.Append("null"); break;
            case BooleanValue boolean: _buffer.Append(boolean.IsTrue ? "true" : "false"); break;
            case IntegerValue integer: _buffer.Append(NumberText.Integer(integer.Number)); break;
            case FloatValue number: _buffer.Append(Float(number.Number)); break;
            case TextValue text: _buffer.Append(Quote(text.Text, asciiOnly)); break;
            case SequenceValue sequence: WriteAll('[', sequence.Items, ']', level, item => Write(item, level + 1)); break;
            case MapValue map: WriteAll('{', Sorted(map), '}', level, entry => WriteEntry(entry, level + 1)); break;
            default: throw TemplateException.TypeError($"Object of type {value.TypeName} is not JSON serializable");
        }
        rendering.Budget.Leave();
    }

    private void WriteAll<T>(char open, IEnumerable<T> items, char close, int level, Action<T> write)
    {
        _buffer.Append(open);
        var any = false;
        foreach (var item in items)
        {
            if (any) _buffer.Append(itemSeparator);
            NewLine(level + 1);
            write(item);
            any = true;
        }
        if (any) NewLine(level);
        _buffer.Append(close);
    }

    private void NewLine(int level)
    {
        if (indent is null) return;
        _buffer.Append('\n');
        for (var i = 0; i < level; i++) _buffer.Append(indent);
    }

    private IEnumerable<KeyValuePair<Value, Value>> Sorted(MapValue map)
    {
        if (!sortKeys) return map.Entries;
        return Sorting.Sort([.. map.Entries.Select(e => e.Key)], key => key, reverse: false, rendering)
            .Select(key => KeyValuePair.Create(key, map.TryGet(key, out var value) ? value : NoneValue.Instance));
    }

    private void WriteEntry(KeyValuePair<Value, Value> entry, int level)
    {
        var key = entry.Key switch
        {
            TextValue text => text.Text,
            NoneValue => "null",
            BooleanValue boolean => boolean.IsTrue ? "true" : "false",
            IntegerValue integer => NumberText.Integer(integer.Number),
            FloatValue number => Float(number.Number),
            _ => throw TemplateException.TypeError($"keys must be str, int, float, bool or None, not {entry.Key.TypeName}"),
        };
        _buffer.Append(Quote(key, asciiOnly)).Append(keySeparator);
        Write(entry.Value, level);
    }

    private static string Float(double number) =>
        double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? number > 0 ? "Infinity" : "-Infinity" : NumberText.Float(number);

    /// <summary>A JSON string; a lone surrogate is kept unless only ASCII is wanted.</summary>
    public static string Quote(string text, bool asciiOnly)
    {
        var result = new System.Text.StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            switch (c)
            {
                case '"': result.Append("\\\""); break;
                case '\\': result.Append("\\\\"); break;
                case '\n': result.Append("\\n"); break;
                case '\r': result.Append("\\r"); break;
                case '\t': result.Append("\\t"); break;
                case '\f': result.Append("\\f"); break;
                case '\b': result.Append("\\b"); break;
                case < ' ': case > '~' when asciiOnly: result.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"); break;
                default: result.Append(c); break;
            }
        }
        return result.Append('"').ToString();
    }
}
