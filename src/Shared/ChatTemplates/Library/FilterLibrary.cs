using TokenMill.Shared.ChatTemplates.Evaluation;
using TokenMill.Shared.ChatTemplates.Values;

namespace TokenMill.Shared.ChatTemplates.Library;

/// <summary>
/// The filters of Jinja2, with tojson as the transformers library defines it. Three are absent: <c>random</c> (renderings must repeat),
/// <c>pprint</c> and <c>urlize</c> (they serve web pages).
/// </summary>
internal static class FilterLibrary
{
    private static readonly Dictionary<string, (Signature? Signature, Filter? Bound, RawFilter? Raw)> Filters = [];

    public delegate Value Filter(Value input, BoundArguments arguments, Rendering rendering);

    /// <summary>A filter that takes any arguments.</summary>
    public delegate Value RawFilter(Value input, CallArguments arguments, Rendering rendering);

    static FilterLibrary()
    {
        TextFilters.Register(Add, Add);
        NumberFilters.Register(Add);
        SequenceFilters.Register(Add);
        SelectionFilters.Register(Add, Add);
        HtmlFilters.Register(Add);
    }

    public static bool Exists(string name) => Filters.ContainsKey(name);

    public static Value Apply(string name, Value input, CallArguments arguments, Rendering rendering)
    {
        rendering.Budget.Look(input);
        if (!Filters.TryGetValue(name, out var filter)) throw TemplateException.Error("TemplateRuntimeError", $"No filter named '{name}' found.");
        return filter.Raw is { } raw ? raw(input, arguments, rendering) : filter.Bound!(input, arguments.Bind(filter.Signature!), rendering);
    }

    private static void Add(string names, string parameters, Filter filter)
    {
        foreach (var name in names.Split(' ')) Filters[name] = (new Signature(name, parameters), filter, null);
    }

    private static void Add(string name, RawFilter filter) => Filters[name] = (null, null, filter);
}
