using System.Text;
using System.Text.Json.Nodes;
using TokenMill.Shared;
using TokenMill.Shared.OpenAi;

namespace TokenMill.Serving.ToolCalls;

/// <summary>
/// Takes an answer apart while it is written: reasoning, text, calls of functions. What may turn out to be the beginning of a mark
/// is held back; everything else is given on at once, arguments of a call included. What looks like a call and is none is text.
/// </summary>
/// <param name="format">How the model writes calls; null: it has no tools, so that nothing is a call.</param>
/// <param name="functions">Names that can be called.</param>
/// <param name="startsInThought">The prompt has begun the reasoning already.</param>
/// <param name="separatesThought">False: reasoning stays in the text, with its marks.</param>
/// <param name="parametersOf">The schema of a function's parameters, where it is needed to understand a call.</param>
/// <param name="startsInCall">The prompt has written the start mark already.</param>
internal sealed class AnswerReader(ToolFormat? format, IReadOnlySet<string> functions, bool parallel, bool startsInThought, bool startsInCall = false, bool separatesThought = true, Func<string, JsonObject?>? parametersOf = null)
{
    private enum Place { Start, Thought, AfterThought, Text, Call, AfterCall }

    private readonly StringBuilder _held = new();
    private readonly StringBuilder _raw = new();               // the call being read, as the model wrote it
    private readonly List<ChatCompletionChunk.Delta> _deltas = [];
    private Place _place = startsInThought && separatesThought ? Place.Thought : startsInCall ? Place.Call : Place.Start;
    private JsonCallScanner? _scanner;
    private bool _isOpen, _inList, _isFinishing;
    private bool _thoughtBegun = !separatesThought;
    private int _calls;

    /// <summary>It has called a function.</summary>
    public bool HasCalls => _calls > 0;

    /// <summary>What comes next belongs to the reasoning, so far as is known.</summary>
    public bool IsThinking => _place == Place.Thought;

    public IReadOnlyList<ChatCompletionChunk.Delta> Read(string text)
    {
        _deltas.Clear();
        _held.Append(text);
        while (Advance())
        {
        }
        return [.. _deltas];
    }

    public IReadOnlyList<ChatCompletionChunk.Delta> Finish()
    {
        _isFinishing = true;
        var last = Read("");
        if (_place != Place.Call) return last;
        // A call that is cut off: what was given on stays, and the rest is nothing; one that never had a name is text.
        if (!_isOpen) EmitText(_raw.ToString() + _held);
        return [.. _deltas];
    }

    private bool Advance() => _place switch
    {
        Place.Start => AtStart(),
        Place.Thought => InThought(),
        Place.AfterThought => SkipSpaceTo(Place.Start),
        Place.Text => InText(),
        Place.Call => InCall(),
        _ => AfterCall(),
    };

    /// <summary>An answer may begin with reasoning, or be a call from its first character on.</summary>
    private bool AtStart()
    {
        var text = _held.ToString();
        var trimmed = text.TrimStart();
        if (trimmed.Length == 0 && !_isFinishing) return false;
        if (!_thoughtBegun && MayBecome(trimmed, ThoughtText.Start)) return false;
        if (!_thoughtBegun && trimmed.StartsWith(ThoughtText.Start, StringComparison.Ordinal))
        {
            Drop(text.Length - trimmed.Length + ThoughtText.Start.Length);
            return Go(Place.Thought);
        }
        if (format is { Syntax: ToolSyntax.JsonOrPython })
        {
            if (MayBecome(trimmed, ToolFormat.PythonTag)) return false;
            if (trimmed.StartsWith(ToolFormat.PythonTag, StringComparison.Ordinal)) trimmed = trimmed[ToolFormat.PythonTag.Length..];
            if (trimmed.Length == 0 && !_isFinishing) return false;
            if (trimmed is ['{' or '[', ..])
            {
                _raw.Clear().Append(text.AsSpan(0, text.Length - trimmed.Length));
                Drop(text.Length - trimmed.Length);
                return Go(Place.Call);
            }
        }
        return Go(Place.Text);
    }

    private bool InThought()
    {
        if (!_thoughtBegun && !_isFinishing && string.IsNullOrWhiteSpace(_held.ToString())) return false;
        if (!_thoughtBegun) Drop(_held.Length - _held.ToString().TrimStart().Length);
        _thoughtBegun = true;
        var (before, found) = TakeUntil(ThoughtText.End);
        // White space before the mark is not part of the thought, so it waits for what follows.
        if (!found && !_isFinishing) _held.Insert(0, before[before.TrimEnd().Length..]);
        before = before.TrimEnd();
        if (before.Length > 0) _deltas.Add(new ChatCompletionChunk.Delta(ReasoningContent: before));
        return found && Go(Place.AfterThought);
    }

    private bool InText()
    {
        if (format is null or { Start: "" })
        {
            EmitText(_held.ToString());
            _held.Clear();
            return false;
        }
        var (before, found) = TakeUntil(format.Start);
        EmitText(before);
        if (!found) return false;
        _raw.Clear().Append(format.Start);
        return Go(Place.Call);
    }

    private bool InCall() => format!.Syntax switch
    {
        ToolSyntax.NameThenJson => _scanner is null ? ReadName() : ReadJson(),
        ToolSyntax.Xml => ReadXml(),
        ToolSyntax.JsonOrPython when _scanner is null && _held.Length > 0 && _held[0] == '[' => ReadPython(),
        _ => ReadJson(),
    };

    private bool ReadName()
    {
        var text = _held.ToString();
        var at = text.IndexOf(format!.AfterName, StringComparison.Ordinal);
        if (at < 0) return false;
        var name = text[..at].Trim();
        if (name == ToolFormat.Everyone && format == ToolFormat.FunctionaryRecipient)
        {
            Drop(at + format.AfterName.Length);
            return Go(Place.Text);
        }
        var arguments = text[(at + format.AfterName.Length)..].TrimStart();
        if (arguments.Length == 0 && !_isFinishing) return false;
        if (!functions.Contains(name) || arguments is not ['{', ..]) return GiveUp();
        _raw.Append(text.AsSpan(0, text.Length - arguments.Length));
        Drop(text.Length - arguments.Length);
        _scanner = new JsonCallScanner();
        // As if the name had been a member of the object, so that the arguments are read the same way.
        foreach (var c in $"{{\"name\":{Json.Serialize(name)},\"arguments\":") _scanner.Take(c);
        return true;
    }

    private bool ReadJson()
    {
        for (var i = 0; i < _held.Length; i++)
        {
            var c = _held[i];
            _raw.Append(c);
            if (_scanner is null)
            {
                if (char.IsWhiteSpace(c)) continue;
                if (c == '[' && format!.IsList && !_inList)
                {
                    _inList = true;
                    continue;
                }
                _scanner = new JsonCallScanner();
            }
            _scanner.Take(c);
            if (format!.Syntax == ToolSyntax.NameThenJson && _scanner.HasWholeArguments) _scanner.Take('}');
            if (_scanner.IsBroken || _scanner.Name is { } name && !functions.Contains(name))
            {
                Drop(i + 1);
                return GiveUp();
            }
            if (!_scanner.IsDone) continue;
            Close();
            Drop(i + 1);
            return Go(Place.AfterCall);
        }
        _held.Clear();
        Forward();
        return false;
    }

    /// <summary>Only a whole list can be understood.</summary>
    private bool ReadPython()
    {
        if (!_isFinishing) return false;
        if (PythonCalls.TryRead(_held.ToString()) is not { } calls || calls.Any(c => !functions.Contains(c.Name))) return GiveUp();
        foreach (var (name, arguments) in calls)
        {
            Emit(name, arguments.ToJsonString(Json.Options));
            _calls++;
        }
        _held.Clear();
        return Go(Place.AfterCall);
    }

    /// <summary>Only a whole call can be understood: a value's type is known when it ends.</summary>
    private bool ReadXml()
    {
        var text = _held.ToString();
        var end = text.IndexOf(format!.End, StringComparison.Ordinal);
        if (end < 0 && !_isFinishing) return false;
        var call = end < 0 ? text : text[..end];
        Drop(call.Length);
        if (XmlCalls.TryRead(call, format.Xml!, parametersOf ?? (_ => null)) is not var (name, arguments) || !functions.Contains(name))
        {
            _raw.Append(call);
            return GiveUp();
        }
        Emit(name, arguments.ToJsonString(Json.Options));
        _calls++;
        return Go(Place.AfterCall);
    }

    private bool AfterCall()
    {
        var text = _held.ToString();
        var trimmed = text.TrimStart(' ', '\n', '\r', '\t', ',', ';', ']');
        Drop(text.Length - trimmed.Length);
        if (trimmed.Length == 0) return false;
        if (format!.End.Length > 0 && trimmed.StartsWith(format.End, StringComparison.Ordinal))
        {
            Drop(format.End.Length);
            return true;
        }
        if (MayBecome(trimmed, format.End) || MayBecome(trimmed, format.Start)) return false;
        // In a list, and with Llama, the next call follows without a mark.
        var next = (_inList || format.Start.Length == 0) && trimmed[0] == '{';
        if (format.Start.Length > 0 && trimmed.StartsWith(format.Start, StringComparison.Ordinal))
        {
            Drop(format.Start.Length);
            (next, _inList) = (true, false);
        }
        _raw.Clear();
        return Go(next ? Place.Call : Place.Text);
    }

    private bool SkipSpaceTo(Place place)
    {
        Drop(_held.Length - _held.ToString().TrimStart().Length);
        return (_held.Length > 0 || _isFinishing) && Go(place);
    }

    /// <summary>It is no call after all; what was given on of it cannot be taken back.</summary>
    private bool GiveUp()
    {
        if (!_isOpen) EmitText(_raw.ToString());
        _raw.Clear();
        (_scanner, _isOpen) = (null, false);
        return Go(Place.Text);
    }

    private void Forward()
    {
        if (_scanner?.TakeArguments() is not { Length: > 0 } arguments) return;
        Open();
        Emit(null, arguments);
    }

    private void Open()
    {
        if (_isOpen) return;
        _isOpen = true;
        Emit(_scanner!.Name, "");
    }

    private void Close()
    {
        Open();
        Forward();
        if (_scanner!.HasNoArguments) Emit(null, "{}");
        (_scanner, _isOpen) = (null, false);
        _calls++;
    }

    private void Emit(string? name, string arguments)
    {
        if (_calls > 0 && !parallel) return;                   // one was asked for
        // Mistral's templates take ids of nine letters and digits, the others any.
        var id = name is null ? null : format!.Start == ToolFormat.Mistral.Start ? Guid.NewGuid().ToString("N")[..9] : $"call_{Guid.NewGuid():N}";
        _deltas.Add(new ChatCompletionChunk.Delta(ToolCalls: [new ToolCall(_calls, id, name is null ? null : "function", new ToolCall.Call(name, arguments))]));
    }

    private void EmitText(string text)
    {
        if (text.Length > 0 && !(HasCalls && string.IsNullOrWhiteSpace(text))) _deltas.Add(new ChatCompletionChunk.Delta(Content: text));
    }

    private (string Before, bool Found) TakeUntil(string mark)
    {
        var text = _held.ToString();
        var at = text.IndexOf(mark, StringComparison.Ordinal);
        var before = at >= 0 ? at : text.Length;
        if (at < 0 && !_isFinishing)
            for (var length = Math.Min(mark.Length - 1, text.Length); length > 0; length--)
                if (text.EndsWith(mark[..length], StringComparison.Ordinal))
                {
                    before = text.Length - length;
                    break;
                }
        Drop(at >= 0 ? at + mark.Length : before);
        return (text[..before], at >= 0);
    }

    private bool MayBecome(string text, string mark) => !_isFinishing && text.Length < mark.Length && mark.StartsWith(text, StringComparison.Ordinal);

    private void Drop(int count) => _held.Remove(0, count);

    private bool Go(Place place)
    {
        _place = place;
        return true;
    }
}
