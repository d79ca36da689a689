using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Evaluation;

/// <summary>
/// The names set in one frame (template, loop round, macro call, block); what it lacks is looked for outside, last in the variables given to the template.
/// Frames hold a handful of interned names, so a scan by reference is quickest.
/// </summary>
internal sealed class Scope(Scope? outer, IReadOnlyDictionary<string, Value>? given = null)
{
    private string[] _names = [];
    private Value[] _values = [];
    private int _count;

    public void Set(string name, Value value)
    {
        for (var i = 0; i < _count; i++)
        {
            if (!ReferenceEquals(_names[i], name)) continue;
            _values[i] = value;
            return;
        }
        if (_count == _names.Length)
        {
            Array.Resize(ref _names, Math.Max(4, _count * 2));
            Array.Resize(ref _values, _names.Length);
        }
        (_names[_count], _values[_count++]) = (name, value);
    }

    public Value? Find(string name)
    {
        for (var scope = this; ; scope = scope.Outer)
        {
            for (var i = 0; i < scope._count; i++)
                if (ReferenceEquals(scope._names[i], name)) return scope._values[i];
            if (scope.Outer is null) return scope.Given?.GetValueOrDefault(name);
        }
    }

    private Scope? Outer { get; } = outer;
    private IReadOnlyDictionary<string, Value>? Given { get; } = given;
}
