using System.Text.RegularExpressions;

namespace TokenMill.Shared.Formats.HuggingFace;

/// <summary>
/// How peft names modules: a regular expression for the whole name, or for all of it behind a dot. "q_proj" is every q_proj,
/// "layers\.[0-3]\.mlp\..*" the feed-forward projections of four layers.
/// </summary>
public static class ModulePattern
{
    private const RegexOptions Options = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;

    public static bool Matches(string pattern, string module) => Regex.IsMatch(module, $@"^(.*\.)?({pattern})$", Options);

    /// <summary>False for what is no regular expression, or needs one that may take forever.</summary>
    public static bool IsValid(string pattern)
    {
        try
        {
            _ = new Regex(pattern, Options);
            return pattern.Length > 0;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }

    /// <summary>The shortest patterns that are true of some modules of a model and of no other: last words where they suffice, else whole names.</summary>
    public static IReadOnlyList<string> Cover(IEnumerable<string> chosen, IEnumerable<string> all)
    {
        var counts = all.CountBy(LastWord).ToDictionary();
        return [.. chosen.GroupBy(LastWord).SelectMany(group => group.Count() == counts.GetValueOrDefault(group.Key) ? [group.Key] : (IEnumerable<string>)group)];
    }

    public static string LastWord(string module) => module[(module.LastIndexOf('.') + 1)..];
}
