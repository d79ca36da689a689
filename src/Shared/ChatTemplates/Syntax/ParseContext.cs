using TokenMill.Shared.ChatTemplates.Library;

namespace TokenMill.Shared.ChatTemplates.Syntax;

/// <summary>What the parser has to remember beside the tree: how deep it is, which macro it is in, and which filters and tests it met.</summary>
internal sealed class ParseContext
{
    /// <summary>Deep enough for every published template; Python itself gives up at about 90.</summary>
    private const int MaxNesting = 90;

    /// <summary>Longest chain such as a + b + c …; Python's own parser stops at 200 parentheses.</summary>
    public const int MaxChain = 200;

    private readonly List<(string Kind, string Name, int Line, bool MayBeUnknown)> _used = [];
    private readonly Stack<HashSet<string>> _macros = [];
    private int _nesting;

    /// <summary>
    /// Directly inside an if: an unknown filter or test there fails only when it is reached.
    /// Anywhere else it makes the whole template invalid.
    /// </summary>
    public bool IsConditional { get; set; }

    /// <summary>Loops around this place within the same macro: break and continue need one.</summary>
    public int LoopDepth { get; set; }

    /// <summary>Loops around this place, across macros: nothing there may assign to <c>loop</c>.</summary>
    public int ForDepth { get; set; }

    public int UsedCount => _used.Count;

    public void Enter()
    {
        if (++_nesting > MaxNesting) throw TemplateException.OverBudget("nesting");
    }

    public void Leave() => _nesting--;

    public void Use(string kind, string name, int line) => _used.Add((kind, name, line, IsConditional));

    /// <summary>The filters and tests met since then turned out to belong to an inline if.</summary>
    public void MakeConditional(int since)
    {
        for (var i = since; i < _used.Count; i++) _used[i] = _used[i] with { MayBeUnknown = true };
    }

    public void BeginMacro() => _macros.Push([]);

    public HashSet<string> EndMacro() => _macros.Pop();

    public void Read(string name)
    {
        if (name is not ("caller" or "kwargs" or "varargs")) return;
        foreach (var names in _macros) names.Add(name);
    }

    public void CheckNames()
    {
        foreach (var (kind, name, line, mayBeUnknown) in _used)
            if (!mayBeUnknown && !(kind == "filter" ? FilterLibrary.Exists(name) : TestLibrary.Exists(name)))
                throw TemplateException.Error("TemplateAssertionError", $"No {kind} named '{name}'. (line {line})");
    }
}
