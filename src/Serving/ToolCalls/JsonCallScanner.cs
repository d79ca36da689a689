using System.Text;
using System.Text.Json;

namespace TokenMill.Serving.ToolCalls;

/// <summary>
/// Reads {"name": …, "arguments": {…}} character by character and gives the arguments on as they come, unchanged.
/// Other members are passed over; "parameters" is another word for the arguments.
/// </summary>
internal sealed class JsonCallScanner
{
    private readonly StringBuilder _arguments = new(), _value = new();
    private string _key = "";
    private int _depth;
    private bool _inText, _escaped, _expectsValue;
    private int _given;

    public string? Name { get; private set; }

    /// <summary>The object is closed.</summary>
    public bool IsDone { get; private set; }

    /// <summary>This is no call.</summary>
    public bool IsBroken { get; private set; }

    public bool HasNoArguments => _arguments.Length == 0;

    /// <summary>The arguments are closed, the object is not.</summary>
    public bool HasWholeArguments => _depth == 1 && _expectsValue && !_inText && IsArguments && _value.Length > 0 && _value[^1] == '}';

    /// <summary>Arguments that are new since the last time; none before the name is known.</summary>
    public string TakeArguments()
    {
        if (Name is null || _given == _arguments.Length) return "";
        var part = _arguments.ToString(_given, _arguments.Length - _given);
        _given = _arguments.Length;
        return part;
    }

    public void Take(char c)
    {
        if (_depth == 0)
        {
            if (c == '{') _depth = 1;
            else if (!char.IsWhiteSpace(c)) IsBroken = true;
            return;
        }
        if (_inText)
        {
            Append(c);
            if (_escaped) _escaped = false;
            else if (c == '\\') _escaped = true;
            else if (c == '"') _inText = false;
            return;
        }
        switch (c)
        {
            case '"':
                _inText = true;
                Append(c);
                break;
            case '{' or '[':
                _depth++;
                Append(c);
                break;
            case '}' or ']' when _depth > 1:
                _depth--;
                Append(c);
                break;
            case '}':
                EndMember();
                (_depth, IsDone) = (0, !IsBroken);
                IsBroken |= Name is null;
                break;
            case ',' when _depth == 1:
                EndMember();
                break;
            case ':' when _depth == 1 && !_expectsValue:
                (_key, _expectsValue) = (Text(_value.ToString()) ?? "", true);
                _value.Clear();
                break;
            default:
                if (_depth > 1 || !char.IsWhiteSpace(c)) Append(c);
                break;
        }
    }

    /// <summary>Arguments that are an object are given on at once; a text may hold them too, and is one only when it is whole.</summary>
    private void Append(char c)
    {
        if (_expectsValue && IsArguments && (_value.Length == 0 ? c == '{' : _value[0] == '{')) _arguments.Append(c);
        _value.Append(c);
    }

    private bool IsArguments => _key is "arguments" or "parameters";

    private void EndMember()
    {
        if (_expectsValue)
        {
            var value = _value.ToString();
            if (_key is "name" or "function") Name = Text(value) ?? Name;
            else if (IsArguments && !value.StartsWith('{') && _arguments.Length == 0) _arguments.Append(Text(value) ?? (value == "null" ? "{}" : value));
        }
        else IsBroken |= _value.Length > 0;
        _expectsValue = false;
        _value.Clear();
    }

    private static string? Text(string json)
    {
        try
        {
            return json.StartsWith('"') ? JsonSerializer.Deserialize<string>(json) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
